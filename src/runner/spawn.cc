#include "runner/spawn.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/close_range.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner/descriptor_limit.h"
#include "runner/process_recovery.h"

extern char** environ;

namespace mgpu::runner {

namespace {

constexpr int kOutputPipeSize = 1 << 20;
constexpr int kExecLimitMs = 1000;

// What the child writes to the error pipe when exec is not reached or fails.
struct SpawnFailure {
  enum class Phase : int { cwd, exec, other } phase = Phase::other;
  int error = 0;
};

// The command's file in PATH, as execvp finds it; the command itself if there is none.
std::string resolve_command(const std::string& command, const std::string& path) {
  if (command.find('/') != command.npos) return command;
  for (std::size_t from = 0; from <= path.size();) {
    const auto to = std::min(path.find(':', from), path.size());
    const auto folder = path.substr(from, to - from);
    auto file = folder;
    if (!file.empty()) file += '/';
    file += command;
    if (access(file.c_str(), X_OK) == 0) return file;
    from = to + 1;
  }
  return command;
}

std::vector<std::string> merged_environment(const config::ProcessConfig& config) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    if (!config.env.contains(text.substr(0, text.find('=')))) all.push_back(text);
  }
  for (const auto& [name, value] : config.env) all.emplace_back(name).append("=").append(value);
  return all;
}

std::string search_path(const config::ProcessConfig& config) {
  if (auto own = config.env.find("PATH"); own != config.env.end()) return own->second;
  const char* inherited = std::getenv("PATH");
  return inherited != nullptr ? inherited : "/usr/local/bin:/usr/bin:/bin";
}

std::vector<char*> null_terminated(std::vector<std::string>& texts) {
  std::vector<char*> all;
  for (auto& text : texts) all.push_back(text.data());
  all.push_back(nullptr);
  return all;
}

[[noreturn]] void report_failure(int pipe, SpawnFailure::Phase phase) {
  const SpawnFailure failure{phase, errno};
  [[maybe_unused]] auto n = write(pipe, &failure, sizeof failure);
  _exit(127);
}

struct Pipe {
  int read = -1;
  int write = -1;
};

// In the child. Only async-signal-safe calls.
[[noreturn]] void exec_child(const char* file, char* const* argv, char* const* env, const char* cwd,
                             Pipe output, int error_pipe, pid_t parent, SpawnOptions options) {
  setpgid(0, 0);
  if (options.cgroup >= 0) [[maybe_unused]]
    const auto entered = write(options.cgroup, "0", 1);
  if (!options.outlives_daemon) prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);  // the daemon ended before prctl took effect or the child was recorded
  const int null_input = open("/dev/null", O_RDONLY);
  if (dup2(null_input, 0) < 0 || dup2(output.write, 1) < 0 || dup2(output.write, 2) < 0) {
    report_failure(error_pipe, SpawnFailure::Phase::other);
  }
  sigset_t empty_mask;
  sigemptyset(&empty_mask);
  sigprocmask(SIG_SETMASK, &empty_mask, nullptr);
  for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
  restore_descriptor_limit();
  // The daemon's sockets must not stay open in its children: their ports would stay in use after a crash.
  syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
  if (options.outlives_daemon) {
    // The error pipe must not be replaced by the dup2 below.
    if (error_pipe == kInheritedOutputFd)
      error_pipe = fcntl(error_pipe, F_DUPFD_CLOEXEC, kInheritedOutputFd + 1);
    if (output.read != kInheritedOutputFd) dup2(output.read, kInheritedOutputFd);
    fcntl(kInheritedOutputFd, F_SETFD, 0);
  }
  if (*cwd != '\0' && chdir(cwd) != 0) report_failure(error_pipe, SpawnFailure::Phase::cwd);
  execve(file, argv, env);
  report_failure(error_pipe, SpawnFailure::Phase::exec);
}

// The size of the failure that the child reported, 0 after exec. A child that hangs in a folder that does not
// respond counts as started after kExecLimitMs; its load limit ends it.
ssize_t read_failure(int pipe, SpawnFailure& failure) {
  pollfd ready{.fd = pipe, .events = POLLIN, .revents = 0};
  if (poll(&ready, 1, kExecLimitMs) == 0) return 0;
  ssize_t bytes_read = 0;
  do bytes_read = read(pipe, &failure, sizeof failure);
  while (bytes_read < 0 && errno == EINTR);
  return bytes_read;
}

// A file description of the reading end that is not shared: the child may have the original one
// (kInheritedOutputFd), and could make it blocking.
int private_read_end(int output) {
  const int own = open(fmt::format("/proc/self/fd/{}", output).c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (own >= 0) {
    close(output);
    return own;
  }
  fcntl(output, F_SETFL, O_NONBLOCK);
  return output;
}

Error spawn_error(const SpawnFailure& failure, const config::ProcessConfig& config) {
  const std::string why = std::strerror(failure.error);
  if (failure.phase == SpawnFailure::Phase::cwd) {
    return {ErrorCode::load_failed,
            fmt::format("can't enter the working directory \"{}\": {}", config.cwd, why)};
  }
  if (failure.phase == SpawnFailure::Phase::exec && failure.error == ENOENT) {
    return {ErrorCode::load_failed, fmt::format("command not found: \"{}\"", config.command.front())};
  }
  return {ErrorCode::load_failed, fmt::format("can't start \"{}\": {}", config.command.front(), why)};
}

}  // namespace

Result<SpawnedProcess> spawn(const config::ProcessConfig& config, SpawnOptions options) {
  if (config.command.empty()) return fail(ErrorCode::load_failed, "the process has no command");
  auto arguments = config.command;
  auto variables = merged_environment(config);
  const auto argv = null_terminated(arguments);
  const auto env = null_terminated(variables);
  const auto file = resolve_command(config.command.front(), search_path(config));

  int output[2] = {-1, -1};
  int error_pipe[2] = {-1, -1};
  if (pipe2(output, O_CLOEXEC) != 0)
    return fail(ErrorCode::load_failed, "can't create a pipe for the process: too many open files");
  if (pipe2(error_pipe, O_CLOEXEC) != 0) {
    close(output[0]), close(output[1]);
    return fail(ErrorCode::load_failed, "can't create a pipe for the process: too many open files");
  }
  // The pipe's capacity while no daemon reads. If the kernel refuses, the pipe keeps its 64 KiB.
  if (options.outlives_daemon) fcntl(output[0], F_SETPIPE_SZ, kOutputPipeSize);
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    exec_child(file.c_str(), argv.data(), env.data(), config.cwd.c_str(), {output[0], output[1]},
               error_pipe[1], parent, options);
  }
  const int fork_error = errno;
  close(output[1]);
  close(error_pipe[1]);
  SpawnFailure failure{SpawnFailure::Phase::other, fork_error};
  ssize_t failure_bytes = pid < 0 ? static_cast<ssize_t>(sizeof failure) : 0;
  if (pid > 0) {
    setpgid(pid, pid);  // in parent and child, so that the group exists for either
    failure_bytes = read_failure(error_pipe[0], failure);
  }
  close(error_pipe[0]);
  const int pidfd = failure_bytes == 0 ? static_cast<int>(syscall(SYS_pidfd_open, pid, 0)) : -1;
  if (failure_bytes == 0 && pidfd < 0) {
    failure = {SpawnFailure::Phase::other, errno};
    ::kill(-pid, SIGKILL);
  }
  if (pidfd < 0) {
    if (pid > 0) waitpid(pid, nullptr, 0);
    close(output[0]);
    return std::unexpected(spawn_error(failure, config));
  }
  return SpawnedProcess{pid, pidfd, private_read_end(output[0])};
}

}  // namespace mgpu::runner
