// Runs one command to its end and returns its output.
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

// Runs on the caller's executor. The command is killed after `limit`, and when the caller stops waiting.
// Errors: unavailable (no such command; it did not end within `limit`).
boost::asio::awaitable<Result<CommandResult>> run_command(std::vector<std::string> argv, Duration limit);

// The same, for a caller without an executor: blocks its thread.
Result<CommandResult> run_command_blocking(std::vector<std::string> argv, Duration limit);

// The command's file in PATH; a name with a slash is the file itself. Null: not found, or not executable.
std::optional<std::string> find_executable(const std::string& name);

}  // namespace mgpu::runner
