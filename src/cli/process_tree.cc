#include "cli/process_tree.h"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mgpu::cli {
namespace {

constexpr int kPollIntervalMs = 10;

struct ProcessStat {
  char state = '?';
  pid_t parent = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot
};

// None: no such process.
std::optional<ProcessStat> read_process_stat(pid_t pid) {
  std::ifstream in("/proc/" + std::to_string(pid) + "/stat");
  std::string text;
  std::getline(in, text,
               '\0');  // unlike an istreambuf_iterator it does not throw if the process ends meanwhile
  const std::size_t name_end = text.rfind(')');  // the name may contain anything, parentheses too
  if (name_end == std::string::npos) return std::nullopt;
  std::istringstream words(text.substr(name_end + 1));
  ProcessStat stat;
  words >> stat.state >> stat.parent;
  std::string skipped;
  for (int field = 5; field < 22; ++field) words >> skipped;
  words >> stat.start_time;
  return words ? std::optional(stat) : std::nullopt;
}

std::map<pid_t, ProcessStat> read_all_processes() {
  std::map<pid_t, ProcessStat> all;
  std::error_code error;
  for (std::filesystem::directory_iterator at("/proc", error), end_of_list; !error && at != end_of_list;
       at.increment(error)) {
    const std::string name = at->path().filename();
    pid_t pid = 0;
    const auto [end, error_code] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (error_code != std::errc{} || end != name.data() + name.size()) continue;
    if (const auto stat = read_process_stat(pid)) all.emplace(pid, *stat);
  }
  return all;
}

std::map<pid_t, ProcessStat> living_processes_below(pid_t root) {
  const std::map<pid_t, ProcessStat> all = read_all_processes();
  std::multimap<pid_t, pid_t> children;
  for (const auto& [pid, stat] : all) children.emplace(stat.parent, pid);
  std::map<pid_t, ProcessStat> found;
  std::vector<pid_t> unvisited{root};
  while (!unvisited.empty()) {
    const pid_t parent = unvisited.back();
    unvisited.pop_back();
    const auto [from, to] = children.equal_range(parent);
    for (auto child = from; child != to; ++child)
      if (found.emplace(child->second, all.at(child->second)).second) unvisited.push_back(child->second);
  }
  std::erase_if(found, [](const auto& one) { return one.second.state == 'Z' || one.second.state == 'X'; });
  return found;
}

// Does nothing if the pid has been reused for another process since `expected` was read.
void signal_process(pid_t pid, const ProcessStat& expected, int number) {
  const int fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return;
  const auto now = read_process_stat(pid);
  if (now && now->start_time == expected.start_time) syscall(SYS_pidfd_send_signal, fd, number, nullptr, 0);
  close(fd);
}

}  // namespace

bool terminate_descendants(TerminationLimits limits, const std::function<bool()>& skip_grace) {
  const auto begin = std::chrono::steady_clock::now();
  std::set<std::pair<pid_t, std::uint64_t>> sigterm_sent;
  for (;;) {
    while (waitpid(-1, nullptr, WNOHANG) > 0) {
    }
    const std::map<pid_t, ProcessStat> left = living_processes_below(getpid());
    if (left.empty()) return true;
    const auto passed = std::chrono::steady_clock::now() - begin;
    if (passed >= limits.limit) return false;
    const bool force = passed >= limits.grace || skip_grace();
    for (const auto& [pid, stat] : left) {
      if (force)
        signal_process(pid, stat, SIGKILL);
      else if (sigterm_sent.emplace(pid, stat.start_time).second)
        signal_process(pid, stat, SIGTERM);
    }
    poll(nullptr, 0, kPollIntervalMs);
  }
}

std::string make_run_id() {
  const auto self = read_process_stat(getpid());
  return "lease-" + std::to_string(getpid()) + "-" + std::to_string(self ? self->start_time : 0);
}

}  // namespace mgpu::cli
