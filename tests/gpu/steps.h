// The steps of the GPU check. Each runs in a process of its own, which is killed at its limit, so that none
// can hold up the next.
#pragma once

#include <string>
#include <vector>

#include "tests/gpu/step_result.h"

namespace mgpu::gpu_check {

struct StepOptions {
  bool quick = false;            // fewer tries and small amounts: for the tests of the check itself
  std::string folder{};          // for logs and files of the step
  double free_limit_ms = 5'000;  // until NVML must show memory free
};

struct Step {
  const char* name;
  const char* title;  // the heading in the record
  int limit_s;        // after which it is killed
  StepResult (*run)(const StepOptions&);
};

// In the order in which they run.
const std::vector<Step>& step_table();

StepResult check_card(const StepOptions& options);
StepResult check_processes(const StepOptions& options);
StepResult check_free_latency(const StepOptions& options);
StepResult check_kill_latency(const StepOptions& options);
StepResult check_daemon_load(const StepOptions& options);
StepResult check_foreign(const StepOptions& options);
StepResult check_daemon_parking(const StepOptions& options);
// Out and back of so many GiB by the driver's calls, and the same bytes read from the page cache.
StepResult check_parking(const StepOptions& options, std::uint64_t gib);

}  // namespace mgpu::gpu_check
