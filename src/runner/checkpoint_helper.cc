#include "runner/checkpoint_helper.h"

#include <charconv>
#include <cstdio>
#include <memory>
#include <optional>

#include "runner/checkpoint_utility.h"
#include "runner/cuda_driver.h"
#include "runner/time_budget.h"

namespace mgpu::runner {
namespace {

constexpr int kFailed = 1;
constexpr int kUsage = 2;

struct Arguments {
  std::string command{};
  Duration limit{};
  std::string utility{};
  std::vector<int> pids{};
};

std::optional<int> parse_positive(const std::string& word) {
  int value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || end != word.data() + word.size() || value <= 0) return std::nullopt;
  return value;
}

std::optional<Arguments> parse_arguments(const std::vector<std::string>& words) {
  if (words.size() < 3) return std::nullopt;
  const auto limit_ms = parse_positive(words[1]);
  if (!limit_ms) return std::nullopt;
  Arguments arguments{.command = words[0], .limit = std::chrono::milliseconds(*limit_ms)};
  for (std::size_t i = 2; i < words.size(); ++i) {
    if (words[i] == "--utility" && i + 1 < words.size()) {
      arguments.utility = words[++i];
      continue;
    }
    const auto pid = parse_positive(words[i]);
    if (!pid) return std::nullopt;
    arguments.pids.push_back(*pid);
  }
  return arguments;
}

Result<std::unique_ptr<CheckpointActions>> make_actions(const std::string& utility) {
  if (!utility.empty()) return std::make_unique<CheckpointUtility>(utility);
  auto driver = CudaDriver::open(cuda_library());
  if (!driver) return std::unexpected(driver.error());
  if (const auto ready = (*driver)->init(); !ready) return std::unexpected(ready.error());
  return std::move(*driver);
}

int report_failure(const Error& error) {
  std::printf("%s\n", error.detail.c_str());
  return kFailed;
}

int report(const Result<void>& done) { return done ? 0 : report_failure(done.error()); }

int probe_driver() {
  const auto driver = CudaDriver::open(cuda_library());
  return driver ? 0 : report_failure(driver.error());
}

int print_usage() {
  std::printf("usage: mgpu %s probe | park|resume|undo LIMIT_MS [--utility PATH] PID...\n",
              kCheckpointCommand);
  return kUsage;
}

}  // namespace

int run_checkpoint_helper(const std::vector<std::string>& words) {
  if (words == std::vector<std::string>{"probe"}) return probe_driver();
  const auto arguments = parse_arguments(words);
  if (!arguments || arguments->pids.empty()) return print_usage();
  const TimeBudget remaining(arguments->limit);
  const auto actions = make_actions(arguments->utility);
  if (!actions) return report_failure(actions.error());
  if (arguments->command == "park") return report(park(**actions, arguments->pids, remaining()));
  if (arguments->command == "resume") return report(resume(**actions, arguments->pids, remaining()));
  if (arguments->command != "undo") return print_usage();
  roll_back(**actions, arguments->pids);
  return 0;
}

}  // namespace mgpu::runner
