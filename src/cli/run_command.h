// `mgpu run`: a command in its turn.
//
// The lease is bound to a connection of this process and its supervisor (supervisor.h), so the turn comes
// back whatever happens to them. The command runs in the same process group: it keeps the terminal, and
// Ctrl-C and Ctrl-Z reach it as if it ran alone. If it is ended by a signal, or this process is (kill -9
// included), all that is left of its tree ends with it, other sessions too: SIGTERM first, so that it can
// save what it has, and SIGKILL ten seconds later. Until then the turn is kept. What a command that ends by
// itself leaves in the background stays. Should the lease end early (the daemon stopped), the command goes on
// and a warning says so: killing hours of training would be the greater harm.
#pragma once

#include "cli/options.h"

namespace mgpu::cli {

// The exit code, see exit_codes.h.
int run_command(const Options& options);

}  // namespace mgpu::cli
