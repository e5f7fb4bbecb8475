// `mgpu run`: a command in its turn.
//
// The lease is bound to this process' connection, so the turn comes back whatever happens to it. The command
// runs as a child in the same process group: it keeps the terminal, and Ctrl-C and Ctrl-Z reach it as if it
// ran alone. Should this process be killed (kill -9), the kernel sends the command SIGTERM at once: it would
// otherwise go on computing in a turn that somebody else has now. SIGTERM, not SIGKILL, so that it can save
// what it has; what it still holds meanwhile the daemon sees as foreign memory and respects. Should the lease
// end early (the daemon stopped), the command goes on and a warning says so: killing hours of training would
// be the greater harm.
#pragma once

#include "cli/options.h"

namespace mgpu::cli {

// The exit code, see exit_codes.h.
int run_command(const Options& options);

}  // namespace mgpu::cli
