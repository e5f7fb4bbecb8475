#include "gpu/pid_translator.h"

#include <algorithm>
#include <sstream>
#include <utility>

#include "gpu/process_table.h"
#include "gpu/small_file.h"

namespace mgpu::gpu {
namespace {

constexpr std::chrono::seconds kRefreshInterval{5};

bool may_hold_device_memory(const std::optional<ProcessStat>& process) {
  return process && !process->kernel_thread;
}

std::string read_status(const std::string& proc, int pid) {
  return read_file_text(proc + "/" + std::to_string(pid) + "/status");
}

}  // namespace

std::optional<int> parse_namespace_pid(std::string_view status) {
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

bool PidTranslator::is_current(const Mapping& mapping) const {
  if (!mapping.host_pid) return true;
  const auto process = read_process(*mapping.host_pid, proc_);
  return process && process->start_time == mapping.start_time;
}

void PidTranslator::translate(std::vector<ProcessUsage>& processes) {
  std::vector<int> unknown;
  for (const ProcessUsage& usage : processes)
    if (!may_hold_device_memory(read_process(usage.pid, proc_))) unknown.push_back(usage.pid);
  if (unknown.empty()) return;

  std::erase_if(mappings_, [&](const Mapping& mapping) { return !is_current(mapping); });
  const bool all_known = std::ranges::all_of(unknown, [&](int pid) {
    return std::ranges::find(mappings_, pid, &Mapping::namespace_pid) != mappings_.end();
  });
  const auto now = std::chrono::steady_clock::now();
  if (!all_known || now >= next_refresh_) {
    refresh_mappings(unknown);
    next_refresh_ = now + kRefreshInterval;
  }
  for (ProcessUsage& usage : processes) {
    const auto mapping = std::ranges::find(mappings_, usage.pid, &Mapping::namespace_pid);
    if (mapping != mappings_.end() && mapping->host_pid) usage.pid = *mapping->host_pid;
  }
}

void PidTranslator::refresh_mappings(const std::vector<int>& unknown) {
  std::map<int, std::vector<int>> host_pids;  // by namespace pid
  for (const int pid : list_numeric_entries(proc_).value_or(std::vector<int>{}))
    if (const auto namespace_pid = parse_namespace_pid(read_status(proc_, pid)))
      host_pids[*namespace_pid].push_back(pid);
  mappings_.clear();
  for (const int namespace_pid : unknown) {
    Mapping& mapping = mappings_.emplace_back(Mapping{.namespace_pid = namespace_pid});
    const auto candidates = host_pids.find(namespace_pid);
    if (candidates == host_pids.end() || candidates->second.size() != 1) continue;
    const auto process = read_process(candidates->second.front(), proc_);
    if (!process) continue;
    mapping.host_pid = candidates->second.front();
    mapping.start_time = process->start_time;
  }
}

}  // namespace mgpu::gpu
