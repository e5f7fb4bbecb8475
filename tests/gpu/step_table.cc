#include "tests/gpu/nvml_view.h"
#include "tests/gpu/steps.h"

namespace mgpu::gpu_check {

const std::vector<Step>& step_table() {
  static const std::vector<Step> table{
      {"card", "Driver and card", 40, check_card},
      {"processes", "NVML's numbers for a process, its child and its grandchild", 60, check_processes},
      {"free", "From cuMemFree until NVML shows it", 60, check_free_latency},
      {"kill", "From kill -9 until NVML shows it", 75, check_kill_latency},
      {"events", "Device events", 15, [](const StepOptions&) { return check_device_events(); }},
      {"daemon", "Five consumers of the real daemon", 110, check_daemon_load},
      {"foreign", "Foreign memory", 45, check_foreign},
      {"park-1", "Parking 1 GiB", 45, [](const StepOptions& options) { return check_parking(options, 1); }},
      {"park-10", "Parking 10 GiB", 60,
       [](const StepOptions& options) { return check_parking(options, 10); }},
      {"park-daemon", "Parking by the daemon", 60, check_daemon_parking},
      {"park-40", "Parking 40 GiB", 130,
       [](const StepOptions& options) { return check_parking(options, 40); }},
  };
  return table;
}

}  // namespace mgpu::gpu_check
