#include "simgpu/hold.h"

#include <csignal>
#include <cstdio>
#include <cstring>

#include <fmt/core.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"

#include "mgpu/simgpu.h"
#include "simgpu/state_file.h"

namespace mgpu::simgpu {
namespace {

int allocate_memory(const std::string& path, const HoldOptions& options) {
  const auto state = LockedState::open(path);
  if (!state) {
    fmt::print(stderr, "mgpu-simgpu: {}\n", state.error().detail);
    return kExitFailed;
  }
  Device* device = state->device(options.device);
  if (!device) {
    fmt::print(stderr, "mgpu-simgpu: {} has no device {}: it has {} devices\n", path, options.device,
               (*state)->device_count);
    return kExitFailed;
  }
  const int code = allocate(*device, this_process(), options.bytes);
  if (code == MGPU_SIMGPU_OK) return 0;
  const auto free = device->total - device->reserved - used_bytes(*device);
  fmt::print(stderr, "mgpu-simgpu: allocation failed with code {}: {} requested, {} free on device {}\n",
             code, to_string(Bytes{static_cast<std::int64_t>(options.bytes)}),
             to_string(Bytes{static_cast<std::int64_t>(free)}), options.device);
  return code == MGPU_SIMGPU_OUT_OF_MEMORY ? kExitOutOfMemory : kExitFailed;
}

[[noreturn]] void exec_command(const std::vector<std::string>& command, const sigset_t& original_mask) {
  std::vector<char*> words;
  for (const std::string& word : command) words.push_back(const_cast<char*>(word.c_str()));
  words.push_back(nullptr);
  sigprocmask(SIG_SETMASK, &original_mask, nullptr);
  execvp(words.front(), words.data());
  fmt::print(stderr, "mgpu-simgpu: can't run {}: {}\n", command.front(), std::strerror(errno));
  _exit(errno == ENOENT ? 127 : 126);  // as a shell does
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace

int hold_memory(const std::string& path, const HoldOptions& options) {
  // The signals are blocked from the start, so that one that arrives before sigwait stays pending.
  sigset_t awaited_signals, original_mask;
  sigemptyset(&awaited_signals);
  for (const int signal : {SIGINT, SIGTERM, SIGCHLD}) sigaddset(&awaited_signals, signal);
  sigprocmask(SIG_BLOCK, &awaited_signals, &original_mask);

  if (const int code = allocate_memory(path, options); code != 0) return code;
  if (options.command.empty()) sigdelset(&awaited_signals, SIGCHLD);
  const pid_t child = options.command.empty() ? 0 : fork();
  if (child < 0) {
    fmt::print(stderr, "mgpu-simgpu: can't fork: {}\n", std::strerror(errno));
    return kExitFailed;
  }
  if (child == 0 && !options.command.empty()) exec_command(options.command, original_mask);

  for (;;) {
    int signal = 0;
    sigwait(&awaited_signals, &signal);
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
