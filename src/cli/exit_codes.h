// The exit codes of `mgpu`. Every --help ends with them.
#pragma once

namespace mgpu::cli {

enum ExitCode : int {
  kOk = 0,
  kFailed = 1,       // the daemon refused the request, or it failed
  kUsage = 2,        // wrong arguments or configuration
  kUnreachable = 3,  // the daemon does not answer
  kWaitLimit = 124,  // run: the turn did not come within --wait-limit
  kRefused = 125,    // run: no turn, for another reason
  kNotExecutable = 126,
  kNoSuchCommand = 127,
};

inline constexpr const char* kExitCodeHelp =
    "Exit codes: 0 ok, 1 refused or failed, 2 wrong arguments or configuration, 3 the daemon does not "
    "answer.";
inline constexpr const char* kRunExitCodeHelp =
    "Exit codes: the command's own, or 128 + the signal that ended it; 2 wrong arguments, 3 the daemon does "
    "not\n"
    "answer, 124 the turn did not come within --wait-limit, 125 refused, 126 the command can't be executed,\n"
    "127 there is no such command.";

}  // namespace mgpu::cli
