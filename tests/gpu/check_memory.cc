// The steps that ask what NVML shows, and when.
#include <algorithm>
#include <csignal>
#include <fstream>
#include <memory>
#include <sstream>

#include <sys/utsname.h>
#include <unistd.h>

#include "runner/cuda_driver.h"

#include "tests/gpu/child_process.h"
#include "tests/gpu/clock.h"
#include "tests/gpu/cuda_memory.h"
#include "tests/gpu/nvml_view.h"
#include "tests/gpu/steps.h"

namespace mgpu::gpu_check {
namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr double kReadyLimitMs = 30'000;
constexpr std::uint64_t kTolerance = 32 * kMiB;  // what other programs may take or free meanwhile

std::vector<std::string> hold_command(const std::vector<std::uint64_t>& amounts) {
  std::vector<std::string> words{program_folder() + "/mgpu-gpu-check", "hold"};
  for (const std::uint64_t bytes : amounts) words.push_back(std::to_string(bytes));
  return words;
}

// "key: value" of a file like /proc/meminfo, in kB.
std::uint64_t meminfo_kib(const std::string& key) {
  std::ifstream file("/proc/meminfo");
  for (std::string line; std::getline(file, line);)
    if (line.starts_with(key + ":")) return std::stoull(line.substr(key.size() + 1));
  return 0;
}

void add_host(StepResult& result) {
  utsname host{};
  uname(&host);
  result.add("kernel", std::string(host.sysname) + " " + host.release);
  result.add("host memory available", to_mib(meminfo_kib("MemAvailable") * 1024), "MiB");
  result.add("runs as", "uid " + std::to_string(getuid()));
}

double take_number(const std::string& line, int position) {
  std::istringstream words(line);
  std::string word;
  for (int i = 0; i <= position; ++i) words >> word;
  return std::strtod(word.c_str(), nullptr);
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
  result.add("UUID by NVML", nvml->device().uuid);
  result.add("UUID by CUDA", memory->uuid());
  result.add("devices that NVML lists, slices included", nvml->devices().size());
  result.add("CUDA of the driver", std::to_string(memory->driver_api_version() / 1000) + "." +
                                       std::to_string(memory->driver_api_version() % 1000 / 10));
  const gpu::RawReading before = nvml->read();
  result.add("device memory, total", to_mib(static_cast<std::uint64_t>(before.total.count)), "MiB");
  result.add("device memory that the driver reserves",
             to_mib(static_cast<std::uint64_t>(before.driver_reserved.count)), "MiB");
  result.add("device memory used before", to_mib(static_cast<std::uint64_t>(before.used.count)), "MiB");
  result.add("cuInit", memory->init_ms(), "ms");
  const double start = now_ms();
  if (const auto code = memory->use(); code != gpu::cuda::kSuccess)
    return result.fail("no context: " + memory->describe(code)), result;
  result.add("first context", now_ms() - start, "ms");
  const auto driver = runner::CudaDriver::open(runner::cuda_library());
  result.add("checkpoint calls", driver ? "present" : driver.error().detail);
  return result;
}

StepResult check_processes(const StepOptions&) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t base = nvml->used();
  std::uint64_t context = 0;
  {
    ChildProcess alone(hold_command({0}));
    const auto ready = alone.wait_for_line("", kReadyLimitMs);  // ready, or error
    if (!ready || !ready->starts_with("ready"))
      return result.fail(ready.value_or("no context in time")), result;
    const gpu::RawReading reading = nvml->read();
    context = static_cast<std::uint64_t>(reading.used.count) -
              std::min(base, static_cast<std::uint64_t>(reading.used.count));
    result.add("a context alone: rise of the device's used memory", to_mib(context), "MiB");
    if (const auto row = NvmlView::bytes_of(reading, alone.pid()))
      result.add("a context alone: row of its process", to_mib(*row), "MiB");
  }
  nvml->wait_until(
      [&](const gpu::RawReading& r) { return static_cast<std::uint64_t>(r.used.count) <= base + kTolerance; },
      5'000);
  const std::vector<std::uint64_t> amounts{256 * kMiB, 512 * kMiB, 1024 * kMiB};
  ChildProcess family(hold_command(amounts));
  std::vector<int> pids;
  for (std::size_t i = 0; i < amounts.size(); ++i) {  // the grandchild is ready first
    const auto line = family.wait_for_line("", kReadyLimitMs);
    if (!line || !line->starts_with("ready")) return result.fail(line.value_or("not ready in time")), result;
    pids.insert(pids.begin(), static_cast<int>(take_number(*line, 1)));
  }
  const gpu::RawReading reading = nvml->read();
  const char* names[] = {"process", "child", "grandchild"};
  for (std::size_t i = 0; i < pids.size(); ++i) {
    const auto row = NvmlView::bytes_of(reading, pids[i]);
    const std::string what =
        std::string(names[i]) + ", holds " + std::to_string(amounts[i] / kMiB) + " MiB: its row";
    if (row)
      result.add(what, to_mib(*row), "MiB");
    else
      result.add(what, "none");
  }
  result.add("of these three NVML lists", listed(reading, pids));
  result.add("rise of the device's used memory",
             to_mib(static_cast<std::uint64_t>(reading.used.count) - base), "MiB");
  return result;
}

StepResult check_free_latency(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t bytes = 1024 * kMiB;
  ChildProcess holder(hold_command({bytes}));
  if (const auto ready = holder.wait_for_line("", kReadyLimitMs); !ready || !ready->starts_with("ready"))
    return result.fail(ready.value_or("not ready in time")), result;
  std::vector<double> total, row, reads;
  for (int i = 0; i < (options.quick ? 5 : 20); ++i) {
    double start = now_ms();
    const gpu::RawReading before = nvml->read();
    reads.push_back(now_ms() - start);
    const auto row_before = NvmlView::bytes_of(before, holder.pid());
    const std::uint64_t used_before = static_cast<std::uint64_t>(before.used.count);
    holder.write_line("free");
    const auto freed = holder.wait_for_line("", kReadyLimitMs);  // freed, or error
    if (!freed || !freed->starts_with("freed")) return result.fail(freed.value_or("no answer")), result;
    start = take_number(*freed, 2);
    const auto is_free = [&](const gpu::RawReading& r) {
      return static_cast<std::uint64_t>(r.used.count) + bytes <= used_before + kTolerance;
    };
    const double seen = nvml->wait_until(is_free, options.free_limit_ms);
    total.push_back(seen < 0 ? -1 : std::max(0.0, seen - start));
    if (row_before) {
      const auto row_is_free = [&](const gpu::RawReading& r) {
        return NvmlView::bytes_of(r, holder.pid()).value_or(0) + bytes <= *row_before + kTolerance;
      };
      const double row_seen = nvml->wait_until(row_is_free, options.free_limit_ms);
      row.push_back(row_seen < 0 ? -1 : std::max(0.0, row_seen - start));
    }
    holder.write_line("take");
    const auto taken = holder.wait_for_line("", kReadyLimitMs);
    if (!taken || !taken->starts_with("taken")) return result.fail(taken.value_or("no answer")), result;
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
    const std::uint64_t base = nvml->used();
    ChildProcess holder(hold_command({1024 * kMiB}));
    if (const auto ready = holder.wait_for_line("", kReadyLimitMs); !ready || !ready->starts_with("ready"))
      return result.fail(ready.value_or("not ready in time")), result;
    const bool has_row = NvmlView::bytes_of(nvml->read(), holder.pid()).has_value();
    const double start = now_ms();
    holder.signal(SIGKILL);
    const double seen = nvml->wait_until(
        [&](const gpu::RawReading& r) {
          return static_cast<std::uint64_t>(r.used.count) <= base + kTolerance;
        },
        options.free_limit_ms);
    total.push_back(seen < 0 ? -1 : seen - start);
    if (has_row) {
      const double row_seen = nvml->wait_until(
          [&](const gpu::RawReading& r) { return !NvmlView::bytes_of(r, holder.pid()).has_value(); },
          options.free_limit_ms);
      row.push_back(row_seen < 0 ? -1 : row_seen - start);
    }
    ended.push_back(holder.wait(5'000) ? now_ms() - start : -1);
  }
  add_times(result, "the device's used memory is back", total);
  if (!row.empty()) add_times(result, "the process' row is gone", row);
  add_times(result, "the process is a zombie or gone, at the latest", ended);
  return result;
}

}  // namespace mgpu::gpu_check
