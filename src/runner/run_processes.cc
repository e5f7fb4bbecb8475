#include "runner/run_processes.h"

#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>
#include <utility>

#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gpu/process_table.h"
#include "gpu/run_mark.h"
#include "gpu/small_file.h"

namespace mgpu::runner {

namespace {

std::map<int, gpu::ProcessStat> read_all_processes() {
  std::map<int, gpu::ProcessStat> all;
  for (const int pid : gpu::list_numeric_entries("/proc").value_or(std::vector<int>{}))
    if (auto process = gpu::read_stat(pid)) all.emplace(pid, std::move(*process));
  return all;
}

// Adds all that descend from one of `pids`.
void add_descendants(std::set<int>& pids, const std::map<int, gpu::ProcessStat>& all) {
  std::multimap<int, int> children;
  for (const auto& [pid, process] : all) children.emplace(process.parent, pid);
  std::vector<int> unvisited(pids.begin(), pids.end());
  while (!unvisited.empty()) {
    const auto [from, to] = children.equal_range(unvisited.back());
    unvisited.pop_back();
    for (auto child = from; child != to; ++child)
      if (pids.insert(child->second).second) unvisited.push_back(child->second);
  }
}

std::string run_id_in_environment(int pid) {
  return gpu::find_in_environment(gpu::read_file_text(fmt::format("/proc/{}/environ", pid)),
                                  gpu::kRunVariable);
}

// Those of runs that ended while nobody waited for it. Another daemon's may be about to be entered.
void remove_empty_cgroups() {
  for (const RunCgroup& left : RunCgroup::find_all())
    if (const auto origin = parse_run_id(left.run_id()); origin && !is_other_live_daemon(origin->daemon))
      left.remove();
}

// Sends nothing if the pid belongs to another process by now.
void signal_process(int pid, std::uint64_t start_time, int number) {
  const auto pidfd = open_pidfd(pid, start_time);
  if (!pidfd) return;
  ::syscall(SYS_pidfd_send_signal, *pidfd, number, nullptr, 0);
  ::close(*pidfd);
}

}  // namespace

std::string hash_of_mark(std::string_view mark) {
  if (mark.empty()) return "0";
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a
  for (const char c : mark) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211U;
  return fmt::format("{:016x}", hash);
}

std::string make_run_id(std::string_view mark) {
  static unsigned count = 0;
  const DaemonInstance daemon = current_daemon_instance();
  return fmt::format("{}-{}-{}-{}", hash_of_mark(mark), daemon.pid, daemon.start_time, ++count);
}

std::optional<RunOrigin> parse_run_id(std::string_view id) {
  std::string text(id);
  std::ranges::replace(text, '-', ' ');
  std::istringstream words(text);
  RunOrigin origin;
  unsigned count = 0;
  if (words >> origin.mark_hash >> origin.daemon.pid >> origin.daemon.start_time >> count) return origin;
  return std::nullopt;
}

bool has_processes_of_run(const std::string& run_id) {
  const auto pids = gpu::list_numeric_entries("/proc").value_or(std::vector<int>{});
  return !run_id.empty() &&
         std::ranges::any_of(pids, [&](int pid) { return run_id_in_environment(pid) == run_id; });
}

RunProcesses::RunProcesses(std::string run_id) : run_id_(std::move(run_id)) {
  remove_empty_cgroups();
  cgroup_ = RunCgroup::create(run_id_);
}

RunProcesses RunProcesses::of_leader(int leader) {
  RunProcesses found;
  found.run_id_ = run_id_in_environment(leader);
  found.cgroup_ = RunCgroup::find(leader);
  found.set_leader(leader);
  return found;
}

void RunProcesses::set_leader(int pid) {
  group_ = pid;
  if (const auto leader = gpu::read_stat(pid)) started_at_ = leader->start_time;
}

void RunProcesses::look() {
  const std::map<int, gpu::ProcessStat> all = read_all_processes();
  std::set<int> pids;
  if (cgroup_)
    for (const int pid : cgroup_->pids()) pids.insert(pid);
  for (const auto& [pid, process] : all) {
    const auto known = known_.find(pid);
    if (known != known_.end() && known->second == process.start_time) pids.insert(pid);
    if (group_ != 0 && process.group == group_) pids.insert(pid);
    if (run_id_.empty() || process.kernel_thread || process.start_time < started_at_) continue;
    if (!pids.contains(pid) && run_id_in_environment(pid) == run_id_) pids.insert(pid);
  }
  pids.erase(::getpid());
  add_descendants(pids, all);
  known_.clear();
  for (const int pid : pids)
    if (const auto process = all.find(pid); process != all.end() && !gpu::has_ended(process->second))
      known_.emplace(pid, process->second.start_time);
}

bool RunProcesses::is_alive(int pid, std::uint64_t start_time) const {
  const auto process = gpu::read_stat(pid);
  return process && process->start_time == start_time && !gpu::has_ended(*process);
}

bool RunProcesses::any_left() {
  const auto lives = [this](const auto& known) { return is_alive(known.first, known.second); };
  if (std::ranges::any_of(known_, lives)) return true;
  look();
  return !known_.empty();
}

bool RunProcesses::contains(int pid) {
  if (const auto known = known_.find(pid); known != known_.end() && is_alive(pid, known->second)) return true;
  look();
  return known_.contains(pid);
}

std::vector<int> RunProcesses::pids() const {
  std::vector<std::pair<std::uint64_t, int>> by_age;
  for (const auto& [pid, start_time] : known_) by_age.emplace_back(start_time, pid);
  std::ranges::sort(by_age);
  std::vector<int> pids;
  for (const auto& [start_time, pid] : by_age) pids.push_back(pid);
  return pids;
}

void RunProcesses::signal(int number, int except_group) {
  look();
  for (const auto& [pid, start_time] : known_) {
    const auto process = gpu::read_stat(pid);
    if (process && (except_group == 0 || process->group != except_group))
      signal_process(pid, start_time, number);
  }
}

void RunProcesses::kill() {
  if (cgroup_) cgroup_->kill();
  signal(SIGKILL);
}

}  // namespace mgpu::runner
