#include "runner/adopted.h"

#include <charconv>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <sstream>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "gpu/process_table.h"

namespace mgpu::runner {
namespace {

std::string text_of(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::optional<int> as_pid(const std::string& name) {
  int pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return pid;
}

std::vector<int> all_pids() {
  std::vector<int> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error))
    if (const auto pid = as_pid(entry.path().filename())) pids.push_back(*pid);
  return pids;
}

// The value of a variable in the text of /proc/PID/environ.
std::optional<std::string> variable_in(const std::string& environ, std::string_view name) {
  const std::string wanted = fmt::format("{}{}=", '\0', name);
  const auto at = environ.find(wanted);
  if (at == std::string::npos) return std::nullopt;
  const auto from = at + wanted.size();
  return environ.substr(from, environ.find('\0', from) - from);
}

bool has_mark(const std::optional<Marked>& marked, std::string_view mark) {
  return marked && marked->mark == mark;
}

// The pipe behind a process' fd; 0: none, or another kind of file.
ino_t pipe_behind(int pid, int fd) {
  struct stat facts{};
  const std::string file = fmt::format("/proc/{}/fd/{}", pid, fd);
  if (::stat(file.c_str(), &facts) != 0 || !S_ISFIFO(facts.st_mode)) return 0;
  return facts.st_ino;
}

}  // namespace

std::string boot_id() {
  std::string id = text_of("/proc/sys/kernel/random/boot_id");
  while (!id.empty() && id.back() == '\n') id.pop_back();
  return id;
}

Result<int> open_known(int pid, std::uint64_t start_time) {
  const auto gone = [&] { return fail(ErrorCode::not_found, fmt::format("process {} is gone", pid)); };
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return gone();
  // Looked at after the pidfd was opened: if it is the right one now, the pidfd is of the right one.
  const auto facts = gpu::read_process(pid);
  if (facts && facts->start_time == start_time && facts->state != 'Z') return fd;
  ::close(fd);
  return gone();
}

int reopen_output(int pid) {
  const ino_t written = pipe_behind(pid, STDOUT_FILENO);
  // A pipe of which it does not hold the other end as well is none that we gave it.
  if (written == 0 || written != pipe_behind(pid, kKeptOutput)) return -1;
  return ::open(fmt::format("/proc/{}/fd/{}", pid, kKeptOutput).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
}

std::vector<int> living_members(int group) {
  std::vector<int> members;
  for (const int pid : all_pids()) {
    const auto facts = gpu::parse_stat(text_of(fmt::format("/proc/{}/stat", pid)));
    if (facts && facts->group == group && facts->state != 'Z' && facts->state != 'X') members.push_back(pid);
  }
  return members;
}

Life this_life() {
  const auto facts = gpu::read_process(::getpid());
  return {.pid = ::getpid(), .start_time = facts ? facts->start_time : 0};
}

std::string to_string(const Life& life) { return fmt::format("{} {}", life.pid, life.start_time); }

std::optional<Life> life_in(const std::string& text) {
  std::istringstream words(text);
  Life life;
  return words >> life.pid >> life.start_time ? std::optional(life) : std::nullopt;
}

bool is_another_living(const Life& life) {
  if (life.pid <= 0 || life.pid == ::getpid()) return false;
  const auto facts = gpu::read_process(life.pid);
  return facts && facts->start_time == life.start_time && facts->state != 'Z' && facts->state != 'X';
}

std::optional<Marked> mark_of(int pid) {
  const std::string environ = std::string(1, '\0') + text_of(fmt::format("/proc/{}/environ", pid));
  const auto value = variable_in(environ, kMarkVariable);
  if (!value) return std::nullopt;
  const auto blank = value->rfind(' ');  // a path may hold some, a consumer's name does not
  if (blank == std::string::npos) return std::nullopt;
  Marked marked{.pid = pid, .consumer = value->substr(blank + 1), .mark = value->substr(0, blank)};
  if (const auto starter = variable_in(environ, kStarterVariable)) marked.starter = life_in(*starter);
  return marked;
}

std::vector<Marked> marked_processes(std::string_view mark) {
  std::vector<Marked> all;
  if (mark.empty()) return all;
  for (const int pid : all_pids())
    if (auto marked = mark_of(pid); has_mark(marked, mark) && pid != ::getpid())
      all.push_back(std::move(*marked));
  return all;
}

bool end_marked(int pid, std::string_view mark) {
  const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (fd < 0) return false;
  // Asked after the pidfd was opened: what has the mark now is what the pidfd means.
  const bool ours = has_mark(mark_of(pid), mark);
  if (ours) ::syscall(SYS_pidfd_send_signal, fd, SIGKILL, nullptr, 0);
  ::close(fd);
  return ours;
}

}  // namespace mgpu::runner
