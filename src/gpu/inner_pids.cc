#include "gpu/inner_pids.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "gpu/process_table.h"
#include "gpu/small_file.h"

namespace mgpu::gpu {
namespace {

constexpr std::chrono::seconds kLookAgain{5};

bool may_hold_device_memory(const std::optional<ProcessFacts>& facts) {
  return facts && !facts->kernel_thread;
}

std::string status_of(const std::string& proc, int pid) {
  return text_of_file(proc + "/" + std::to_string(pid) + "/status");
}

}  // namespace

std::optional<int> inner_pid(std::string_view status) {
  constexpr std::string_view kKey = "\nNSpid:";
  const auto at = status.find(kKey);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view line = status.substr(at + kKey.size());
  std::istringstream words{std::string(line.substr(0, line.find('\n')))};
  int count = 0;
  int last = 0;
  for (int pid = 0; words >> pid; ++count) last = pid;
  return count > 1 ? std::optional(last) : std::nullopt;
}

bool InnerPids::still_true(const Found& found) const {
  if (!found.host) return true;
  const auto facts = read_process(*found.host, proc_);
  return facts && facts->start_time == found.start_time;
}

void InnerPids::translate(std::vector<ProcessUse>& processes) {
  std::vector<int> unknown;
  for (const ProcessUse& use : processes)
    if (!may_hold_device_memory(read_process(use.pid, proc_))) unknown.push_back(use.pid);
  if (unknown.empty()) return;

  std::erase_if(found_, [&](const Found& found) { return !still_true(found); });
  const bool all_known = std::ranges::all_of(
      unknown, [&](int pid) { return std::ranges::find(found_, pid, &Found::inner) != found_.end(); });
  const auto now = std::chrono::steady_clock::now();
  if (!all_known || now >= look_again_) {
    look_for(unknown);
    look_again_ = now + kLookAgain;
  }
  for (ProcessUse& use : processes) {
    const auto found = std::ranges::find(found_, use.pid, &Found::inner);
    if (found != found_.end() && found->host) use.pid = *found->host;
  }
}

void InnerPids::look_for(const std::vector<int>& unknown) {
  std::map<int, std::vector<int>> hosts;  // by inner pid
  for (const int pid : numbers_in(proc_).value_or(std::vector<int>{}))
    if (const auto inner = inner_pid(status_of(proc_, pid))) hosts[*inner].push_back(pid);
  found_.clear();
  for (const int inner : unknown) {
    Found& found = found_.emplace_back(Found{.inner = inner});
    const auto meant = hosts.find(inner);
    if (meant == hosts.end() || meant->second.size() != 1) continue;
    const auto facts = read_process(meant->second.front(), proc_);
    if (!facts) continue;
    found.host = meant->second.front();
    found.start_time = facts->start_time;
  }
}

}  // namespace mgpu::gpu
