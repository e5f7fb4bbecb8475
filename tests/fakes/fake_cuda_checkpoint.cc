// fake-cuda-checkpoint: speaks as NVIDIA's cuda-checkpoint does and moves a process' bytes of the simulated
// GPU (env MGPU_SIMGPU) aside and back.
//
//   --get-state --pid P
//   --action lock [--timeout MS] | checkpoint | restore | unlock   --pid P
//   --toggle --pid P
//
// Beside the simulated GPU's file stand what it did (FILE.checkpoint-log: "lock 123" a line) and how it shall
// misbehave (FILE.checkpoint-fault, words): lock-hangs, checkpoint-fails, restore-fails, restore-kills,
// only-toggle (as the utility of driver 550).
#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "mgpu/simgpu.h"
#include "simgpu/state_file.h"

namespace {

using mgpu::simgpu::CheckpointState;
using mgpu::simgpu::LockedState;

bool misbehaves(const std::string& how) {
  std::ifstream faults(mgpu::simgpu::path_from_environment() + ".checkpoint-fault");
  for (std::string word; faults >> word;)
    if (word == how) return true;
  return false;
}

void note(const std::string& what, int pid) {
  const std::string line = what + " " + std::to_string(pid) + "\n";
  const std::string path = mgpu::simgpu::path_from_environment() + ".checkpoint-log";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  [[maybe_unused]] auto n = write(fd, line.data(), line.size());
  close(fd);
}

int failed(const std::string& what, int pid, const std::string& why) {
  fprintf(stderr, "Could not %s process ID %d: \"%s\"\n", what.c_str(), pid, why.c_str());
  return 1;
}

int usage() {
  printf("CUDA checkpoint and restore utility.\n\n    --toggle --pid <pid>\n");
  if (!misbehaves("only-toggle"))
    printf(
        "    --get-state --pid <pid>\n    --action lock|checkpoint|restore|unlock --pid <pid> [--timeout "
        "<ms>]\n");
  return 0;
}

const char* name_of(CheckpointState stage) {
  return stage == CheckpointState::running  ? "running"
         : stage == CheckpointState::locked ? "locked"
                                            : "checkpointed";
}

int get_state(int pid) {
  const auto state = LockedState::open(mgpu::simgpu::path_from_environment());
  const auto stage = state ? find_checkpoint_state(**state, pid) : std::nullopt;
  if (!stage) return failed("get the state of", pid, "invalid argument");
  printf("%s\n", name_of(*stage));
  return 0;
}

int act(const std::string& action, int pid) {
  note(action, pid);
  if (action == "lock" && misbehaves("lock-hangs")) pause();
  if (misbehaves(action + "-fails"))
    return failed(action, pid, "OS call failed or operation not supported on this OS");
  if (action == "restore" && misbehaves("restore-kills")) kill(pid, SIGKILL);
  const auto state = LockedState::open(mgpu::simgpu::path_from_environment());
  if (!state) return failed(action, pid, state.error().detail);
  int code = MGPU_SIMGPU_INVALID_VALUE;
  if (action == "lock") code = lock_process(**state, pid);
  if (action == "checkpoint") code = checkpoint_process(**state, pid, mgpu::simgpu::now_ns());
  if (action == "restore") code = restore_process(**state, pid);
  if (action == "unlock") code = unlock_process(**state, pid);
  if (code == MGPU_SIMGPU_OK) return 0;
  return failed(action, pid, code == MGPU_SIMGPU_OUT_OF_MEMORY ? "out of memory" : "invalid argument");
}

int toggle(int pid) {
  bool aside = false;
  {
    const auto state = LockedState::open(mgpu::simgpu::path_from_environment());
    aside = state && find_checkpoint_state(**state, pid) == CheckpointState::checkpointed;
  }
  for (const char* action : {aside ? "restore" : "lock", aside ? "unlock" : "checkpoint"})
    if (const int code = act(action, pid); code != 0) return code;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const bool alone = option == "--get-state" || option == "--toggle" || option == "--help";
    given[option] = !alone && i + 1 < argc ? argv[++i] : "";
  }
  int pid = 0;
  const std::string& text = given["--pid"];
  std::from_chars(text.data(), text.data() + text.size(), pid);
  if (given.contains("--help") || pid == 0) return usage();
  if (given.contains("--toggle")) return toggle(pid);
  if (misbehaves("only-toggle")) return fprintf(stderr, "unknown option\n"), 1;
  if (given.contains("--get-state")) return get_state(pid);
  return act(given["--action"], pid);
}
