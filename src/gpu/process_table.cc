#include "gpu/process_table.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>
#include <vector>

#include <dirent.h>

#include "gpu/run_mark.h"
#include "gpu/tcp_sockets.h"

namespace mgpu::gpu {
namespace {

constexpr std::size_t kStatLength = 1024;
constexpr std::size_t kCommandLength = 256;
constexpr std::uint64_t kKernelThreadFlag = 0x00200000;  // PF_KTHREAD
constexpr std::size_t kCgroupLength = 16'384;            // up to a dozen hierarchies, one line each

std::string read_first_bytes(const std::string& path, std::size_t limit) {
  std::ifstream file(path, std::ios::binary);
  std::string text(limit, '\0');
  file.read(text.data(), static_cast<std::streamsize>(limit));
  text.resize(static_cast<std::size_t>(file.gcount()));
  return text;
}

std::string proc_path(const std::string& proc, int pid, std::string_view leaf) {
  return proc + "/" + std::to_string(pid) + "/" + std::string(leaf);
}

std::string read_command(const std::string& proc, int pid, std::string_view stat) {
  std::string command = read_first_bytes(proc_path(proc, pid, "cmdline"), kCommandLength);
  while (!command.empty() && command.back() == '\0') command.pop_back();
  std::ranges::replace(command, '\0', ' ');
  if (!command.empty()) return command;
  const auto open = stat.find('('), close = stat.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close < open) return {};
  return std::string(stat.substr(open + 1, close - open - 1));
}

using Directory = std::unique_ptr<DIR, decltype([](DIR* dir) { closedir(dir); })>;

}  // namespace

std::optional<ProcessStat> parse_stat(std::string_view text) {
  // The command is in parentheses and may contain blanks and parentheses, so it ends at the last one.
  const auto close = text.rfind(')');
  if (close == std::string_view::npos) return std::nullopt;
  std::istringstream words{std::string(text.substr(close + 1))};
  ProcessStat process;
  std::string skipped;
  words >> process.state >> process.parent >> process.group;  // fields 3 to 5
  for (int field = 6; field < 9; ++field) words >> skipped;
  std::uint64_t flags = 0;
  words >> flags;
  process.kernel_thread = (flags & kKernelThreadFlag) != 0;
  for (int field = 10; field < 22; ++field) words >> skipped;
  words >> process.start_time;
  if (!words) return std::nullopt;
  return process;
}

std::optional<ProcessStat> read_stat(int pid, const std::string& proc) {
  return parse_stat(read_first_bytes(proc_path(proc, pid, "stat"), kStatLength));
}

std::optional<ProcessStat> read_process(int pid, const std::string& proc) {
  const std::string stat = read_first_bytes(proc_path(proc, pid, "stat"), kStatLength);
  auto process = parse_stat(stat);
  if (process) process->command = read_command(proc, pid, stat);
  return process;
}

CgroupNames read_cgroup(int pid, const std::string& proc) {
  return parse_cgroup(read_first_bytes(proc_path(proc, pid, "cgroup"), kCgroupLength));
}

bool descends_from(int pid, int ancestor) {
  constexpr int kMaxDepth = 1000;  // pids that are reused meanwhile could make a circle
  for (int depth = 0; pid > 0 && ancestor > 0 && depth < kMaxDepth; ++depth) {
    if (pid == ancestor) return true;
    const auto process = read_stat(pid);
    if (!process) return false;
    pid = process->parent;
  }
  return false;
}

std::optional<std::vector<int>> list_numeric_entries(const std::string& folder) {
  std::vector<int> numbers;
  const Directory dir(opendir(folder.c_str()));
  if (!dir && errno == EACCES) return std::nullopt;
  while (dir) {
    const dirent* entry = readdir(dir.get());
    if (!entry) break;
    const std::string_view name = entry->d_name;
    int number = 0;
    const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error == std::errc{} && end == name.data() + name.size()) numbers.push_back(number);
  }
  return numbers;
}

ProcessTable read_process_table(std::span<const int> pids, const std::string& proc) {
  ProcessTable table;
  for (int pid : pids) {
    while (pid > 0 && !table.contains(pid)) {
      auto process = read_process(pid, proc);
      if (!process) break;
      const int parent = process->parent;
      table.emplace(pid, std::move(*process));
      pid = parent;
    }
  }
  for (const int pid : pids)
    if (const auto entry = table.find(pid); entry != table.end())
      entry->second.cgroup = read_cgroup(pid, proc), entry->second.run = read_run_id(pid, proc);
  return table;
}

std::optional<int> find_listener_pid(std::uint16_t port) {
  std::set<std::string> sockets;
  for (const char* loopback : {"127.0.0.1", "::1"})
    for (const TcpSocket& socket : find_tcp_listeners(loopback, port)) sockets.insert(socket.inode_link);
  if (sockets.empty()) return std::nullopt;

  const std::vector<int> pids = find_socket_holders(sockets);
  return pids.empty() ? std::nullopt : std::optional(pids.front());
}

std::vector<int> find_socket_holders(const std::set<std::string>& links) {
  std::vector<std::pair<std::uint64_t, int>> by_age;
  for (const int pid : list_numeric_entries("/proc").value_or(std::vector<int>{})) {
    if (!has_open_socket(pid, links).value_or(false)) continue;
    if (const auto process = read_process(pid)) by_age.emplace_back(process->start_time, pid);
  }
  std::ranges::sort(by_age);
  std::vector<int> pids;
  for (const auto& [start_time, pid] : by_age) pids.push_back(pid);
  return pids;
}

std::string read_process_name(int pid, const std::string& proc) {
  std::string name = read_first_bytes(proc_path(proc, pid, "comm"), 64);
  while (name.ends_with('\n')) name.pop_back();
  return name;
}

}  // namespace mgpu::gpu
