// A program that holds device memory for a step (programs.h, hold).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "tests/gpu/child_process.h"
#include "tests/gpu/step_result.h"

namespace mgpu::gpu_check {

struct Holder {
  std::unique_ptr<ChildProcess> process{};  // null: it failed, and the step's result says why
  std::vector<int> pids{};                  // of the process, its child, its grandchild, ...

  explicit operator bool() const { return process != nullptr; }
  ChildProcess* operator->() const { return process.get(); }
};

// Starts a process that takes the first amount, a child of it that takes the second, and so on, and waits
// until all have what they want.
Holder start_holder(StepResult& result, const std::vector<std::uint64_t>& amounts);

// Sends `command` and waits for the answer. None: it failed, and the result says why.
std::optional<std::string> ask_holder(StepResult& result, const Holder& holder, const std::string& command);

}  // namespace mgpu::gpu_check
