#include "tests/fakes/fake_checkpoint.h"

#include <csignal>
#include <fstream>

#include <fcntl.h>
#include <unistd.h>

#include "gpu/cuda_abi.h"

#include "mgpu/simgpu.h"
#include "simgpu/state_file.h"

namespace mgpu::fakes {
namespace {

namespace cuda = gpu::cuda;

void append_to_log(const std::string& what, int pid) {
  const std::string line = what + " " + std::to_string(pid) + "\n";
  const std::string path = simgpu::path_from_environment() + ".checkpoint-log";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  [[maybe_unused]] auto n = write(fd, line.data(), line.size());
  close(fd);
}

}  // namespace

bool has_checkpoint_fault(const std::string& fault) {
  std::ifstream faults(simgpu::path_from_environment() + ".checkpoint-fault");
  for (std::string word; faults >> word;)
    if (word == fault) return true;
  return false;
}

std::optional<simgpu::CheckpointState> read_checkpoint_state(int pid) {
  const auto state = simgpu::LockedState::open(simgpu::path_from_environment());
  return state ? find_checkpoint_state(**state, pid) : std::nullopt;
}

int run_checkpoint_action(const std::string& action, int pid) {
  append_to_log(action, pid);
  if (has_checkpoint_fault(action + "-hangs")) pause();
  if (has_checkpoint_fault(action + "-times-out")) return cuda::kNotReady;
  if (has_checkpoint_fault("not-supported")) return cuda::kNotSupported;
  if (has_checkpoint_fault(action + "-fails")) return cuda::kOperatingSystem;
  if (action == "restore" && has_checkpoint_fault("restore-kills")) kill(pid, SIGKILL);
  const auto state = simgpu::LockedState::open(simgpu::path_from_environment());
  if (!state) return cuda::kNotInitialized;
  int code = MGPU_SIMGPU_INVALID_VALUE;
  if (action == "lock") code = lock_process(**state, pid);
  if (action == "checkpoint") code = checkpoint_process(**state, pid, simgpu::now_ns());
  if (action == "restore") code = restore_process(**state, pid);
  if (action == "unlock") code = unlock_process(**state, pid);
  return code;
}

}  // namespace mgpu::fakes
