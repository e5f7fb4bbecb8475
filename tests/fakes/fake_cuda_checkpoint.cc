// fake-cuda-checkpoint: replaces NVIDIA's cuda-checkpoint for a process that holds memory of the simulated
// GPU (env MGPU_SIMGPU).
//
//   --get-state --pid P
//   --action lock [--timeout MS] | checkpoint | restore | unlock   --pid P
//   --toggle --pid P
//
// Two files next to the simulated GPU's FILE: FILE.checkpoint-log gets a line "ACTION PID" for each action;
// FILE.checkpoint-fault contains faults to inject: lock-hangs, checkpoint-fails, restore-fails,
// restore-kills, only-toggle (like the utility of driver 550).
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

bool has_fault(const std::string& fault) {
  std::ifstream faults(mgpu::simgpu::path_from_environment() + ".checkpoint-fault");
  for (std::string word; faults >> word;)
    if (word == fault) return true;
  return false;
}

void append_to_log(const std::string& what, int pid) {
  const std::string line = what + " " + std::to_string(pid) + "\n";
  const std::string path = mgpu::simgpu::path_from_environment() + ".checkpoint-log";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  [[maybe_unused]] auto n = write(fd, line.data(), line.size());
  close(fd);
}

int print_failure(const std::string& what, int pid, const std::string& why) {
  fprintf(stderr, "Could not %s process ID %d: \"%s\"\n", what.c_str(), pid, why.c_str());
  return 1;
}

int print_usage() {
  printf("CUDA checkpoint and restore utility.\n\n    --toggle --pid <pid>\n");
  if (!has_fault("only-toggle"))
    printf(
        "    --get-state --pid <pid>\n    --action lock|checkpoint|restore|unlock --pid <pid> [--timeout "
        "<ms>]\n");
  return 0;
}

const char* state_name(CheckpointState checkpoint_state) {
  return checkpoint_state == CheckpointState::running  ? "running"
         : checkpoint_state == CheckpointState::locked ? "locked"
                                                       : "checkpointed";
}

int print_state(int pid) {
  const auto state = LockedState::open(mgpu::simgpu::path_from_environment());
  const auto checkpoint_state = state ? find_checkpoint_state(**state, pid) : std::nullopt;
  if (!checkpoint_state) return print_failure("get the state of", pid, "invalid argument");
  printf("%s\n", state_name(*checkpoint_state));
  return 0;
}

int run_action(const std::string& action, int pid) {
  append_to_log(action, pid);
  if (action == "lock" && has_fault("lock-hangs")) pause();
  if (has_fault(action + "-fails"))
    return print_failure(action, pid, "OS call failed or operation not supported on this OS");
  if (action == "restore" && has_fault("restore-kills")) kill(pid, SIGKILL);
  const auto state = LockedState::open(mgpu::simgpu::path_from_environment());
  if (!state) return print_failure(action, pid, state.error().detail);
  int code = MGPU_SIMGPU_INVALID_VALUE;
  if (action == "lock") code = lock_process(**state, pid);
  if (action == "checkpoint") code = checkpoint_process(**state, pid, mgpu::simgpu::now_ns());
  if (action == "restore") code = restore_process(**state, pid);
  if (action == "unlock") code = unlock_process(**state, pid);
  if (code == MGPU_SIMGPU_OK) return 0;
  return print_failure(action, pid, code == MGPU_SIMGPU_OUT_OF_MEMORY ? "out of memory" : "invalid argument");
}

int toggle(int pid) {
  bool is_checkpointed = false;
  {
    const auto state = LockedState::open(mgpu::simgpu::path_from_environment());
    is_checkpointed = state && find_checkpoint_state(**state, pid) == CheckpointState::checkpointed;
  }
  for (const char* action : {is_checkpointed ? "restore" : "lock", is_checkpointed ? "unlock" : "checkpoint"})
    if (const int code = run_action(action, pid); code != 0) return code;
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::map<std::string, std::string> options;
  for (int i = 1; i < argc; ++i) {
    const std::string option = argv[i];
    const bool is_flag = option == "--get-state" || option == "--toggle" || option == "--help";
    options[option] = !is_flag && i + 1 < argc ? argv[++i] : "";
  }
  int pid = 0;
  const std::string& text = options["--pid"];
  std::from_chars(text.data(), text.data() + text.size(), pid);
  if (options.contains("--help") || pid == 0) return print_usage();
  if (options.contains("--toggle")) return toggle(pid);
  if (has_fault("only-toggle")) return fprintf(stderr, "unknown option\n"), 1;
  if (options.contains("--get-state")) return print_state(pid);
  return run_action(options["--action"], pid);
}
