#include <array>
#include <cstdio>
#include <iostream>
#include <memory>

#include <unistd.h>

#include "tests/gpu/child_process.h"
#include "tests/gpu/clock.h"
#include "tests/gpu/cuda_memory.h"
#include "tests/gpu/programs.h"

namespace mgpu::gpu_check {
namespace {

namespace cuda = gpu::cuda;

constexpr std::uint32_t kWord = 0x6d677075;  // "mgpu"
constexpr double kStartLimitMs = 30'000;

// One write, so that the lines of parent and child do not mix.
void print_line(const std::string& line) {
  const std::string text = line + "\n";
  [[maybe_unused]] const auto n = write(STDOUT_FILENO, text.data(), text.size());
}

int print_error(const std::string& what) {
  print_line("error " + what);
  return 1;
}

class Held {
 public:
  Held(const CudaMemory& memory, std::size_t bytes) : memory_(memory), bytes_(bytes) {}

  CudaMemory::Return take() {
    if (bytes_ == 0) return cuda::kSuccess;
    const auto code = memory_.allocate(bytes_, pointer_);
    return code == cuda::kSuccess ? memory_.fill(pointer_, bytes_, kWord) : code;
  }
  CudaMemory::Return give_back() { return bytes_ == 0 ? cuda::kSuccess : memory_.free(pointer_); }

  // The first, the middle and the last words.
  std::string check() const {
    for (const std::size_t at : {std::size_t{0}, bytes_ / 2 / 4 * 4, bytes_ - 64}) {
      std::array<std::uint32_t, 16> words{};
      const auto code = memory_.copy_out(words.data(), pointer_ + at, sizeof words);
      if (code != cuda::kSuccess) return "error " + memory_.describe(code);
      for (const std::uint32_t word : words)
        if (word != kWord) return "changed";
    }
    return "intact";
  }

 private:
  const CudaMemory& memory_;
  std::size_t bytes_;
  CudaMemory::Pointer pointer_ = 0;
};

// Does what the lines of stdin say, until its end.
int obey_commands(const CudaMemory& memory, Held& held) {
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "check") {
      print_line(held.check());
      continue;
    }
    const bool is_free = line == "free";
    const double before = now_ms();
    const auto code = is_free ? held.give_back() : held.take();
    const double after = now_ms();
    if (code != cuda::kSuccess) return print_error(line + ": " + memory.describe(code));
    print_line((is_free ? "freed " : "taken ") + std::to_string(before) + " " + std::to_string(after));
  }
  return 0;
}

}  // namespace

int run_hold(const std::vector<std::string>& words) {
  if (words.empty()) return print_error("no amount given");
  // Before the driver is initialized: a child made after that could not use it.
  std::unique_ptr<ChildProcess> child;
  if (words.size() > 1) {
    std::vector<std::string> command{program_folder() + "/mgpu-gpu-check", "hold"};
    command.insert(command.end(), words.begin() + 1, words.end());
    child = std::make_unique<ChildProcess>(command);
    for (std::size_t i = 1; i < words.size(); ++i) {
      const auto line = child->wait_for_line("ready", kStartLimitMs);
      if (!line) return print_error("a child did not take its memory");
      print_line(*line);
    }
  }
  auto memory = CudaMemory::open();
  if (!memory) return print_error(memory.error().detail);
  if (const auto code = memory->use(); code != cuda::kSuccess)
    return print_error("no context: " + memory->describe(code));
  Held held(*memory, std::stoull(words.front()));
  if (const auto code = held.take(); code != cuda::kSuccess)
    return print_error("allocation: " + memory->describe(code));
  print_line("ready " + std::to_string(getpid()) + " " + words.front());
  return obey_commands(*memory, held);
}

}  // namespace mgpu::gpu_check
