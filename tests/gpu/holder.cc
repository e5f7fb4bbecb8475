#include "tests/gpu/holder.h"

#include <algorithm>
#include <cstdlib>
#include <string>

namespace mgpu::gpu_check {
namespace {

constexpr double kAnswerLimitMs = 40'000;  // 40 GiB are filled in it, and a driver attaches

}  // namespace

std::optional<std::string> ask_holder(StepResult& result, const Holder& holder, const std::string& command) {
  if (!command.empty()) holder->write_line(command);
  auto answer = holder->wait_for_line("", kAnswerLimitMs);
  if (answer && !answer->starts_with("error")) return answer;
  result.fail(answer.value_or("the program that holds the memory ended, or did not answer in time"));
  return std::nullopt;
}

Holder start_holder(StepResult& result, const std::vector<std::uint64_t>& amounts) {
  std::vector<std::string> words{program_folder() + "/mgpu-gpu-check", "hold"};
  for (const std::uint64_t bytes : amounts) words.push_back(std::to_string(bytes));
  Holder holder{.process = std::make_unique<ChildProcess>(words)};
  for (std::size_t i = 0; i < amounts.size(); ++i) {  // the last of them is ready first
    const std::string nothing_to_send;
    const auto ready = ask_holder(result, holder, nothing_to_send);  // ready PID BYTES
    if (!ready) return {};
    holder.pids.insert(holder.pids.begin(), std::atoi(ready->c_str() + std::string("ready ").size()));
  }
  return holder;
}

}  // namespace mgpu::gpu_check
