#include "simgpu/hold.h"

#include <csignal>
#include <cstdio>
#include <cstring>

#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"

#include "mgpu/simgpu.h"
#include "simgpu/file.h"

namespace mgpu::simgpu {
namespace {

int taken(const std::string& path, const Hold& what) {
  const auto state = Locked::open(path);
  if (!state) {
    fmt::print(stderr, "{}\n", state.error().detail);
    return kExitFailed;
  }
  Device* device = state->device(what.device);
  if (!device) {
    fmt::print(stderr, "no device {} in {}\n", what.device, path);
    return kExitFailed;
  }
  const int code = take(*device, this_process(), what.bytes);
  if (code == MGPU_SIMGPU_OK) return 0;
  const auto room = device->total - device->reserved - used(*device);
  fmt::print(stderr, "refused with code {}: {} asked for, {} free on device {}\n", code,
             to_string(Bytes{static_cast<std::int64_t>(what.bytes)}),
             to_string(Bytes{static_cast<std::int64_t>(room)}), what.device);
  return code == MGPU_SIMGPU_OUT_OF_MEMORY ? kExitOutOfMemory : kExitFailed;
}

[[noreturn]] void become(const std::vector<std::string>& command, const sigset_t& before) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  execvp(words.front(), words.data());
  fmt::print(stderr, "{}: {}\n", command.front(), std::strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);  // as shells do
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

int hold(const std::string& path, const Hold& what) {
  // Blocked from the start: a signal that comes between two lines waits for sigwait.
  sigset_t awaited, before;
  sigemptyset(&awaited);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&awaited, signal);
  sigprocmask(SIG_BLOCK, &awaited, &before);

  if (const int code = taken(path, what); code != 0) return code;
  if (what.command.empty()) sigdelset(&awaited, SIGCHLD);
  const pid_t child = what.command.empty() ? 0 : fork();
  if (child < 0) {
    fmt::print(stderr, "can't fork: {}\n", std::strerror(errno));
    return kExitFailed;
  }
  if (child == 0 && !what.command.empty()) become(what.command, before);

  for (;;) {
    int signal = 0;
    sigwait(&awaited, &signal);
    if (child == 0) return 0;
    if (signal != SIGCHLD) {
      kill(child, signal);
      continue;
    }
    int status = 0;
    if (waitpid(child, &status, WNOHANG) == child && (WIFEXITED(status) || WIFSIGNALED(status)))
      return exit_code(status);
  }
}

}  // namespace mgpu::simgpu
