#include "runner/process_recovery.h"

#include <csignal>
#include <optional>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gpu/process_table.h"
#include "gpu/run_mark.h"
#include "gpu/small_file.h"

namespace mgpu::runner {
namespace {

std::vector<int> list_pids() { return gpu::list_numeric_entries("/proc").value_or(std::vector<int>{}); }

std::string read_environment(int pid) { return gpu::read_file_text(fmt::format("/proc/{}/environ", pid)); }

bool has_mark(const std::optional<MarkedProcess>& marked, std::string_view mark) {
  return marked && marked->mark == mark;
}

// The inode of the pipe at a process' descriptor; 0: none, or another kind of file.
ino_t pipe_inode(int pid, int fd) {
  struct stat facts{};
  const std::string file = fmt::format("/proc/{}/fd/{}", pid, fd);
  if (::stat(file.c_str(), &facts) != 0 || !S_ISFIFO(facts.st_mode)) return 0;
  return facts.st_ino;
}

}  // namespace

std::string boot_id() {
  std::string id = gpu::read_file_text("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

Result<int> open_pidfd(int pid, std::uint64_t start_time) {
  const auto gone_error = [&] {
    return fail(ErrorCode::not_found, fmt::format("process {} has ended", pid));
  };
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return gone_error();
  // Compared after the pidfd was opened: if the pid is the right process' now, so is the pidfd.
  const auto facts = gpu::read_process(pid);
  if (facts && facts->start_time == start_time && facts->state != 'Z') return fd;
  ::close(fd);
  return gone_error();
}

int reopen_output(int pid) {
  const ino_t stdout_pipe = pipe_inode(pid, STDOUT_FILENO);
  // A pipe of the daemon: the process holds the other end, too.
  if (stdout_pipe == 0 || stdout_pipe != pipe_inode(pid, kInheritedOutputFd)) return -1;
  return ::open(fmt::format("/proc/{}/fd/{}", pid, kInheritedOutputFd).c_str(),
                O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

std::vector<int> live_group_members(int group) {
  std::vector<int> members;
  for (const int pid : list_pids()) {
    const auto facts = gpu::read_stat(pid);
    if (facts && facts->group == group && !gpu::has_ended(*facts)) members.push_back(pid);
  }
  return members;
}

DaemonInstance current_daemon_instance() {
  const auto facts = gpu::read_process(::getpid());
  return {.pid = ::getpid(), .start_time = facts ? facts->start_time : 0};
}

std::string to_string(const DaemonInstance& instance) {
  return fmt::format("{} {}", instance.pid, instance.start_time);
}

std::optional<DaemonInstance> parse_daemon_instance(const std::string& text) {
  std::istringstream words(text);
  DaemonInstance instance;
  return words >> instance.pid >> instance.start_time ? std::optional(instance) : std::nullopt;
}

bool is_other_live_daemon(const DaemonInstance& instance) {
  if (instance.pid <= 0 || instance.pid == ::getpid()) return false;
  const auto facts = gpu::read_process(instance.pid);
  return facts && facts->start_time == instance.start_time && !gpu::has_ended(*facts);
}

std::string read_environment_variable(int pid, std::string_view name) {
  return gpu::find_in_environment(read_environment(pid), name);
}

std::optional<MarkedProcess> read_process_mark(int pid) {
  const std::string environ = read_environment(pid);
  const std::string value = gpu::find_in_environment(environ, kMarkVariable);
  const auto separator =
      value.rfind(' ');  // the mark is a path and may have blanks, a consumer's name has none
  if (separator == std::string::npos) return std::nullopt;
  MarkedProcess marked{
      .pid = pid, .consumer = value.substr(separator + 1), .mark = value.substr(0, separator)};
  marked.starter = parse_daemon_instance(gpu::find_in_environment(environ, kStarterVariable));
  return marked;
}

std::vector<MarkedProcess> find_marked_processes(std::string_view mark) {
  std::vector<MarkedProcess> all;
  if (mark.empty()) return all;
  for (const int pid : list_pids())
    if (auto marked = read_process_mark(pid); has_mark(marked, mark) && pid != ::getpid())
      all.push_back(std::move(*marked));
  return all;
}

bool kill_marked_process(int pid, std::string_view mark) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return false;
  // Read after the pidfd was opened: the process that has the mark now is the pidfd's process.
  const bool has_the_mark = has_mark(read_process_mark(pid), mark);
  if (has_the_mark) ::syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0);
  ::close(fd);
  return has_the_mark;
}

}  // namespace mgpu::runner
