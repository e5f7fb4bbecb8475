// `mgpu run`: runs a command while holding a turn.
//
// - The lease ends with a connection that only this process and its supervisor (supervisor.h) hold: the turn
//   is given back however they end.
// - The command stays in this process' group: it keeps the terminal, and Ctrl-C and Ctrl-Z reach it.
// - If a signal ends the command or this process (kill -9 included), all its descendants are ended, in other
//   sessions too: SIGTERM, and SIGKILL ten seconds later. The turn is held until they have ended.
// - Background processes of a command that exits by itself are left running.
// - If the lease ends early (the daemon stopped), the command continues and a warning is printed: ending it
//   could destroy hours of work.
#pragma once

#include "cli/options.h"

namespace mgpu::cli {

// Returns the exit code: the command's, or one of exit_codes.h.
int run_command(const Options& options);

}  // namespace mgpu::cli
