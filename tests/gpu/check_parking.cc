// Parking by the driver's own calls, against reading the same bytes from the page cache.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <fcntl.h>
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

namespace cuda = gpu::cuda;

constexpr std::uint64_t kGiB = 1ULL << 30;
constexpr std::size_t kPiece = 64 << 20;          // of a copy from the page cache
constexpr std::uint64_t kLargestFile = 4 * kGiB;  // read several times where more bytes are needed
constexpr std::uint64_t kSpare = 2 * kGiB;        // that host and device keep beside the parked bytes
constexpr Duration kLockLimit = std::chrono::seconds(10);

void add_rate(StepResult& result, const std::string& what, double milliseconds, std::uint64_t bytes) {
  result.add(what, milliseconds / 1e3, "s");
  result.add(what + ": rate", static_cast<double>(bytes) / kGiB / (milliseconds / 1e3), "GiB/s");
}

// Lock, checkpoint, restore, unlock, each timed.
void park_and_resume(StepResult& result, runner::CudaDriver& driver, const NvmlView& nvml, int pid,
                     std::uint64_t bytes, double free_limit_ms) {
  const std::uint64_t used_before = used_of(nvml.read());
  const auto timed = [&](const char* action) {
    const double start = now_ms();
    const auto done = driver.run_action(action, pid, kLockLimit);
    const double took = now_ms() - start;
    if (!done)
      result.fail(done.error().detail);
    else if (std::string(action) == "lock" || std::string(action) == "unlock")
      result.add(action, took, "ms");
    else
      add_rate(result, action, took, bytes);
    return done.has_value();
  };
  if (!timed("lock")) return;
  if (!timed("checkpoint")) {
    driver.run_action("unlock", pid, kLockLimit);
    return;
  }
  const double since = now_ms();
  const double seen = nvml.delay_until(
      [&](const auto& reading) { return used_of(reading) + bytes <= used_before; }, since, free_limit_ms);
  add_times(result, "NVML shows the memory free", {seen});
  const auto state = driver.query_state(pid, kLockLimit);
  result.add("state in between", state ? *state : state.error().detail);
  result.add("left on the device in between", to_mib(NvmlView::bytes_of(nvml.read(), pid).value_or(0)),
             "MiB");
  if (timed("restore")) timed("unlock");
}

// A file of these bytes, in the page cache because it was just written. Empty: there is no room for it.
std::string write_file(const std::string& folder, std::uint64_t bytes) {
  std::error_code failed;
  const auto space = std::filesystem::space(folder, failed);
  if (failed || space.available < bytes + kSpare / 2) return "";
  const std::string path = folder + "/page-cache.bin";
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  const std::vector<char> piece(kPiece, 'x');
  bool written = fd >= 0;
  for (std::uint64_t at = 0; written && at < bytes; at += kPiece)
    written = write(fd, piece.data(), kPiece) == static_cast<ssize_t>(kPiece);
  close(fd);
  return written ? path : "";
}

// Reads the file through pinned memory into device memory, again and again, up to `bytes`.
void read_from_page_cache(StepResult& result, const StepOptions& options, std::uint64_t bytes) {
  const std::uint64_t file_bytes = std::min(bytes, options.quick ? kPiece : kLargestFile);
  const std::string path = write_file(options.folder, file_bytes);
  if (path.empty()) return result.add("the same from the page cache", "no disk space for a file");
  auto memory = CudaMemory::open();
  void* pinned = nullptr;
  CudaMemory::Pointer target = 0;
  if (!memory || memory->use() != cuda::kSuccess ||
      memory->allocate_pinned(kPiece, pinned) != cuda::kSuccess ||
      memory->allocate(file_bytes, target) != cuda::kSuccess)
    return result.add("the same from the page cache", "no memory for the comparison");
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  const double start = now_ms();
  for (std::uint64_t done = 0; done < bytes; done += kPiece) {
    const std::uint64_t at = done % file_bytes;
    if (pread(fd, pinned, kPiece, static_cast<off_t>(at)) != static_cast<ssize_t>(kPiece) ||
        memory->copy_in(target + at, pinned, kPiece) != cuda::kSuccess)
      break;
  }
  add_rate(result, "the same bytes from the page cache, one thread, pinned", now_ms() - start, bytes);
  close(fd);
  unlink(path.c_str());
}

}  // namespace

StepResult check_parking(const StepOptions& options, std::uint64_t gib) {
  StepResult result;
  const std::uint64_t bytes = options.quick ? gib * kGiB / 16 : gib * kGiB;
  auto driver = runner::CudaDriver::open(runner::cuda_library());
  if (!driver) return result.skip(driver.error().detail), result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t free = free_of(nvml->read());
  if (free < bytes + kSpare)
    return result.skip("the device has only " + std::to_string(free / kGiB) + " GiB free"), result;
  if (const std::uint64_t host = host_memory_available(); host < bytes + bytes / 4 + kSpare)
    return result.skip("the host has only " + std::to_string(host / kGiB) + " GiB free"), result;
  {
    const Holder holder = start_holder(result, {bytes});
    if (!holder) return result;
    const double start = now_ms();
    if (const auto initialized = (*driver)->init(); !initialized)
      return result.fail(initialized.error().detail), result;
    result.add("cuInit of the parking process", now_ms() - start, "ms");
    park_and_resume(result, **driver, *nvml, holder.pids[0], bytes, options.free_limit_ms);
    if (result.outcome == "ok") {
      const std::string contents = ask_holder(result, holder, "check").value_or("unknown");
      result.add("contents afterwards", contents);
      if (contents != "intact") result.fail("contents afterwards: " + contents);
    }
  }
  read_from_page_cache(result, options, bytes);
  return result;
}

}  // namespace mgpu::gpu_check
