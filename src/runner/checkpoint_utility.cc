#include "runner/checkpoint_utility.h"

#include <algorithm>

#include "base/sanitize.h"
#include "runner/command.h"

namespace mgpu::runner {
namespace {

constexpr Duration kHelpLimit{5'000'000};
constexpr Duration kLockGrace{500'000};  // beyond the utility's own limit for a lock

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return sanitize_text(text);
}

Result<void> without_output(const Result<std::string>& ran) {
  if (!ran) return std::unexpected(ran.error());
  return {};
}

}  // namespace

Result<std::string> CheckpointUtility::run(const std::vector<std::string>& options, int pid, Duration limit) {
  std::vector<std::string> words{path_};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--pid", std::to_string(pid)});
  const auto ran = run_command_blocking(std::move(words), limit);
  if (!ran) return std::unexpected(ran.error());
  std::string output = first_line(ran->output);
  if (ran->exit_code == 0) return output;
  std::string command;
  for (const std::string& option : options) command += option + " ";
  return fail(ErrorCode::unavailable, "cuda-checkpoint " + command + "of process " + std::to_string(pid) +
                                          " failed: " + (output.empty() ? "it printed nothing" : output));
}

Result<std::string> CheckpointUtility::query_state(int pid, Duration limit) {
  return run({"--get-state"}, pid, limit);
}

Result<void> CheckpointUtility::toggle(int pid, Duration limit) {
  return without_output(run({"--toggle"}, pid, limit));
}

Result<void> CheckpointUtility::run_action(std::string_view action, int pid, Duration limit) {
  std::vector<std::string> options{"--action", std::string(action)};
  if (action == "lock") {
    options.insert(options.end(), {"--timeout", std::to_string(limit.count() / 1000)});
    limit += kLockGrace;
  }
  return without_output(run(options, pid, limit));
}

bool CheckpointUtility::only_toggles() {
  const auto ran = run_command_blocking({path_, "--help"}, kHelpLimit);
  return ran && ran->output.find("--action") == std::string::npos;
}

}  // namespace mgpu::runner
