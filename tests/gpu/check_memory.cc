// The steps that ask what NVML shows, and when.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <optional>

#include <sys/utsname.h>
#include <unistd.h>

#include "runner/cuda_driver.h"

#include "tests/gpu/clock.h"
#include "tests/gpu/cuda_memory.h"
#include "tests/gpu/holder.h"
#include "tests/gpu/host_memory.h"
#include "tests/gpu/nvml_view.h"
#include "tests/gpu/steps.h"

namespace mgpu::gpu_check {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kTolerance = 32 * kMiB;  // what other programs may take or free meanwhile

void add_host(StepResult& result) {
  utsname host{};
  uname(&host);
  result.add("kernel", std::string(host.sysname) + " " + host.release);
  result.add("host memory available", to_mib(host_memory_available()), "MiB");
  result.add("runs as", "uid " + std::to_string(getuid()));
}

double last_number(const std::string& line) { return std::strtod(line.c_str() + line.rfind(' '), nullptr); }

void add_row(StepResult& result, const std::string& what, const std::optional<std::uint64_t>& bytes) {
  if (bytes) return result.add(what, to_mib(*bytes), "MiB");
  result.add(what, "none");
}

// How many of the pids NVML lists; with the device's number of rows.
std::string listed(const gpu::RawReading& reading, const std::vector<int>& pids) {
  if (!reading.lists_processes) return "NVML gives no list";
  const auto found = std::ranges::count_if(pids, [&](int pid) {
    return std::ranges::find(reading.processes, pid, &gpu::ProcessUsage::pid) != reading.processes.end();
  });
  return std::to_string(found) + " of " + std::to_string(pids.size()) + ", among " +
         std::to_string(reading.processes.size()) + " rows";
}

}  // namespace

StepResult check_card(const StepOptions&) {
  StepResult result;
  add_driver_versions(result);
  add_host(result);
  auto memory = CudaMemory::open();
  if (!memory) return result.fail(memory.error().detail), result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  result.add("card", memory->name());
  result.add("UUID by NVML, of the device that is used", nvml->device().uuid);
  result.add("UUID by CUDA", memory->uuid());
  for (const gpu::DeviceInfo& device : nvml->devices())  // of a card with MIG its slices
    result.add("NVML's device " + std::to_string(device.index),
               device.name + ", " + to_string(device.total) + ", " + device.uuid);
  result.add("CUDA of the driver", std::to_string(memory->driver_api_version() / 1000) + "." +
                                       std::to_string(memory->driver_api_version() % 1000 / 10));
  const gpu::RawReading before = nvml->read();
  result.add("device memory, total", to_mib(static_cast<std::uint64_t>(before.total.count)), "MiB");
  result.add("device memory that the driver reserves",
             to_mib(static_cast<std::uint64_t>(before.driver_reserved.count)), "MiB");
  result.add("device memory used before", to_mib(used_of(before)), "MiB");
  result.add("cuInit", memory->init_ms(), "ms");
  const double start = now_ms();
  if (const auto code = memory->use(); code != gpu::cuda::kSuccess)
    return result.fail("no context: " + memory->describe(code)), result;
  result.add("first context", now_ms() - start, "ms");
  const auto driver = runner::CudaDriver::open(runner::cuda_library());
  result.add("checkpoint calls", driver ? "present" : driver.error().detail);
  return result;
}

StepResult check_processes(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t base = used_of(nvml->read());
  if (const Holder alone = start_holder(result, {0})) {
    const gpu::RawReading reading = nvml->read();
    result.add("a context alone: rise of the device's used memory",
               to_mib(used_of(reading) - std::min(base, used_of(reading))), "MiB");
    add_row(result, "a context alone: row of its process", NvmlView::bytes_of(reading, alone.pids[0]));
  } else {
    return result;
  }
  nvml->wait_until([&](const auto& reading) { return used_of(reading) <= base + kTolerance; },
                   options.free_limit_ms);

  const std::vector<std::uint64_t> amounts{256 * kMiB, 512 * kMiB, 1024 * kMiB};
  const Holder family = start_holder(result, amounts);
  if (!family) return result;
  const gpu::RawReading reading = nvml->read();
  const char* names[] = {"process", "child", "grandchild"};
  for (std::size_t i = 0; i < amounts.size(); ++i)
    add_row(result, std::string(names[i]) + ", holds " + std::to_string(amounts[i] / kMiB) + " MiB: its row",
            NvmlView::bytes_of(reading, family.pids[i]));
  result.add("of these three NVML lists", listed(reading, family.pids));
  result.add("rise of the device's used memory", to_mib(used_of(reading) - std::min(base, used_of(reading))),
             "MiB");
  return result;
}

StepResult check_free_latency(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t bytes = 1024 * kMiB;
  const Holder holder = start_holder(result, {bytes});
  if (!holder) return result;
  std::vector<double> total, row, reads;
  for (int i = 0; i < (options.quick ? 5 : 20); ++i) {
    const double read_start = now_ms();
    const gpu::RawReading before = nvml->read();
    reads.push_back(now_ms() - read_start);
    const auto freed = ask_holder(result, holder, "free");  // freed T0 T1
    if (!freed) return result;
    const double since = last_number(*freed);
    total.push_back(nvml->delay_until(
        [&](const auto& reading) { return used_of(reading) + bytes <= used_of(before) + kTolerance; }, since,
        options.free_limit_ms));
    if (const auto row_before = NvmlView::bytes_of(before, holder.pids[0]))
      row.push_back(nvml->delay_until(
          [&](const auto& reading) {
            return NvmlView::bytes_of(reading, holder.pids[0]).value_or(0) + bytes <=
                   *row_before + kTolerance;
          },
          since, options.free_limit_ms));
    if (!ask_holder(result, holder, "take")) return result;
  }
  add_times(result, "the device's used memory falls by 1 GiB", total);
  if (!row.empty()) add_times(result, "the process' row falls by 1 GiB", row);
  add_times(result, "one reading takes", reads);
  return result;
}

StepResult check_kill_latency(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  std::vector<double> total, row, ended;
  for (int i = 0; i < (options.quick ? 3 : 10); ++i) {
    const std::uint64_t base = used_of(nvml->read());
    const Holder holder = start_holder(result, {1024 * kMiB});
    if (!holder) return result;
    const bool has_row = NvmlView::bytes_of(nvml->read(), holder.pids[0]).has_value();
    const double since = now_ms();
    holder->signal(SIGKILL);
    total.push_back(
        nvml->delay_until([&](const auto& reading) { return used_of(reading) <= base + kTolerance; }, since,
                          options.free_limit_ms));
    if (has_row)
      row.push_back(
          nvml->delay_until([&](const auto& reading) { return !NvmlView::bytes_of(reading, holder.pids[0]); },
                            since, options.free_limit_ms));
    ended.push_back(holder->wait(options.free_limit_ms) ? now_ms() - since : kNeverSeen);
  }
  add_times(result, "the device's used memory is back", total);
  if (!row.empty()) add_times(result, "the process' row is gone", row);
  add_times(result, "the process has ended, at the latest", ended);
  return result;
}

}  // namespace mgpu::gpu_check
