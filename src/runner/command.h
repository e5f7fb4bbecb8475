// One command run to its end, for what it prints: the small utilities that we ask something of.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "base/time.h"

namespace mgpu::runner {

struct CommandResult {
  int exit_code = 0;     // 128 + n where signal n ended it
  std::string output{};  // of stdout and stderr together, cut at 16 KiB
};

// Runs on the caller's executor. What takes longer than `limit_setting` is killed, as is what is left when
// the waiting is given up. Errors: unavailable (no such command; no answer within the limit).
boost::asio::awaitable<Result<CommandResult>> run_command(std::vector<std::string> argv, Duration limit);

// Where PATH has the command; a name with a slash in it is taken as it is. None: nowhere, or not executable.
std::optional<std::string> find_executable(const std::string& name);

}  // namespace mgpu::runner
