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

#include "gpu/tcp_sockets.h"

namespace mgpu::gpu {
namespace {

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

constexpr std::string_view kListenState = "0A";

// /proc/net writes addresses as hexadecimal words in the host's byte order.
bool reaches_loopback(std::string_view address) {
  return address == "00000000" || address == "00000000000000000000000000000000" ||  // any address
         (address.size() == 8 && address.ends_with("7F")) ||                        // 127.x.x.x
         address == "00000000000000000000000001000000" ||                           // ::1
         (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"));
}

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

std::optional<ProcessStat> read_process(int pid, const std::string& proc) {
  const std::string stat = read_first_bytes(proc_path(proc, pid, "stat"), 1024);
  auto process = parse_stat(stat);
  if (process) process->command = read_command(proc, pid, stat);
  return process;
}

CgroupNames read_cgroup(int pid, const std::string& proc) {
  return parse_cgroup(read_first_bytes(proc_path(proc, pid, "cgroup"), kCgroupLength));
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
      entry->second.cgroup = read_cgroup(pid, proc);
  return table;
}

std::optional<int> find_listener_pid(std::uint16_t port) {
  std::set<std::string> sockets;
  for_each_tcp_socket([&](const TcpSocket& socket) {
    const auto colon = socket.local_address.find(':');
    if (socket.state != kListenState || colon == std::string::npos) return;
    if (std::strtoul(socket.local_address.c_str() + colon + 1, nullptr, 16) != port) return;
    if (reaches_loopback(std::string_view(socket.local_address).substr(0, colon)))
      sockets.insert(socket.inode_link);
  });
  if (sockets.empty()) return std::nullopt;

  std::optional<int> oldest;
  std::uint64_t oldest_start = 0;
  for (const int pid : list_numeric_entries("/proc").value_or(std::vector<int>{})) {
    if (!has_open_socket(pid, sockets).value_or(false)) continue;
    const auto process = read_process(pid);
    if (!process || (oldest && process->start_time >= oldest_start)) continue;
    oldest = pid;
    oldest_start = process->start_time;
  }
  return oldest;
}

}  // namespace mgpu::gpu
