// fake-cuda-checkpoint: replaces NVIDIA's cuda-checkpoint for a process that holds memory of the simulated
// GPU (tests/fakes/fake_checkpoint.h has its log and faults).
//
//   --get-state --pid P
//   --action lock [--timeout MS] | checkpoint | restore | unlock   --pid P
//   --toggle --pid P
#include <charconv>
#include <cstdio>
#include <map>
#include <string>

#include "gpu/cuda_abi.h"

#include "tests/fakes/fake_checkpoint.h"

namespace {

namespace cuda = mgpu::gpu::cuda;
using mgpu::fakes::has_checkpoint_fault;
using mgpu::simgpu::CheckpointState;

int print_failure(const std::string& what, int pid, const std::string& why) {
  fprintf(stderr, "Could not %s process ID %d: \"%s\"\n", what.c_str(), pid, why.c_str());
  return 1;
}

int print_usage() {
  printf("CUDA checkpoint and restore utility.\n\n    --toggle --pid <pid>\n");
  if (!has_checkpoint_fault("only-toggle"))
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
  const auto checkpoint_state = mgpu::fakes::read_checkpoint_state(pid);
  if (!checkpoint_state) return print_failure("get the state of", pid, "invalid argument");
  printf("%s\n", state_name(*checkpoint_state));
  return 0;
}

std::string error_text(int code) {
  switch (code) {
    case cuda::kOutOfMemory:
      return "out of memory";
    case cuda::kNotReady:
      return "device not ready";
    case cuda::kNotSupported:
      return "operation not supported";
    case cuda::kOperatingSystem:
      return "OS call failed or operation not supported on this OS";
    default:
      return "invalid argument";
  }
}

int run_action(const std::string& action, int pid) {
  const int code = mgpu::fakes::run_checkpoint_action(action, pid);
  return code == 0 ? 0 : print_failure(action, pid, error_text(code));
}

int toggle(int pid) {
  const bool is_checkpointed = mgpu::fakes::read_checkpoint_state(pid) == CheckpointState::checkpointed;
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
  if (has_checkpoint_fault("only-toggle")) return fprintf(stderr, "unknown option\n"), 1;
  if (options.contains("--get-state")) return print_state(pid);
  return run_action(options["--action"], pid);
}
