#include "simgpu/state.h"

#include <algorithm>

#include "mgpu/simgpu.h"

namespace mgpu::simgpu {
namespace {

Holder* holder_of(Device& device, const Process& process) {
  const auto found = std::ranges::find_if(device.holders, [&](const Holder& holder) {
    return holder.bytes > 0 && holder.pid == process.pid && holder.start_time == process.start_time;
  });
  return found == device.holders.end() ? nullptr : &*found;
}

Holder* free_place(Device& device) {
  const auto found = std::ranges::find(device.holders, std::uint64_t{0}, &Holder::bytes);
  return found == device.holders.end() ? nullptr : &*found;
}

void return_later(Device& device, std::uint64_t bytes, std::int64_t free_at_ns) {
  auto place = std::ranges::find(device.returning, std::uint64_t{0}, &Returning::bytes);
  if (place == device.returning.end()) place = std::prev(device.returning.end());
  place->free_at_ns = std::max(place->bytes > 0 ? place->free_at_ns : 0, free_at_ns);
  place->bytes += bytes;
}

// What happens to bytes that nobody holds any more; the faults decide when and whether they are free.
void release(Device& device, std::uint64_t bytes, std::int64_t now_ns) {
  const std::uint64_t permille = std::min<std::uint64_t>(device.faults.leak_permille, 1000);
  const std::uint64_t leak = bytes / 1000 * permille + bytes % 1000 * permille / 1000;
  device.leaked += leak;
  bytes -= leak;
  if (bytes == 0 || device.faults.slow_free_ms == 0) return;
  return_later(device, bytes, now_ns + static_cast<std::int64_t>(device.faults.slow_free_ms) * 1'000'000);
}

}  // namespace

std::uint64_t used(const Device& device) {
  std::uint64_t sum = device.leaked + device.faults.foreign;
  for (const Holder& holder : device.holders) sum += holder.bytes;
  for (const Returning& returning : device.returning) sum += returning.bytes;
  return sum;
}

std::uint32_t whole_devices(const State& state) {
  std::uint32_t count = 0;
  while (count < state.device_count && state.devices[count].slice_of == 0) ++count;
  return count;
}

std::uint64_t reported_used(const Device& device) {
  const auto most = static_cast<std::int64_t>(device.total - device.reserved);
  const auto bent = static_cast<std::int64_t>(used(device)) + device.faults.misread;
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(bent, 0, most));
}

void settle(Device& device, std::int64_t now_ns, const std::function<bool(const Process&)>& alive) {
  for (Returning& returning : device.returning) {
    if (returning.bytes > 0 && returning.free_at_ns <= now_ns) returning = {};
  }
  for (Holder& holder : device.holders) {
    if (holder.bytes == 0 || alive({holder.pid, holder.start_time})) continue;
    release(device, holder.bytes, now_ns);
    holder = {};
  }
}

int take(Device& device, const Process& process, std::uint64_t bytes) {
  if (device.faults.lost) return MGPU_SIMGPU_UNAVAILABLE;
  if (device.slices > 0) return MGPU_SIMGPU_INVALID_DEVICE;
  if (bytes == 0) return MGPU_SIMGPU_OK;
  const std::uint64_t room = device.total - device.reserved, taken = used(device);
  if (taken > room || bytes > room - taken) {
    ++device.oom_count;
    return MGPU_SIMGPU_OUT_OF_MEMORY;
  }
  Holder* holder = holder_of(device, process);
  if (!holder) {
    holder = free_place(device);
    if (!holder) return MGPU_SIMGPU_UNKNOWN;
    holder->pid = process.pid;
    holder->start_time = process.start_time;
  }
  holder->bytes += bytes;  // last: from here on the place is taken
  ++device.allocations;
  device.peak_used = std::max(device.peak_used, taken + bytes);
  return MGPU_SIMGPU_OK;
}

int give_back(Device& device, const Process& process, std::uint64_t bytes, std::int64_t now_ns) {
  if (bytes == 0) return MGPU_SIMGPU_OK;
  Holder* holder = holder_of(device, process);
  if (!holder || holder->bytes < bytes) return MGPU_SIMGPU_INVALID_VALUE;
  release(device, bytes, now_ns);
  holder->bytes -= bytes;
  return MGPU_SIMGPU_OK;
}

void clear_faults(Device& device) {
  device.faults = {};
  device.leaked = 0;
  device.returning = {};
}

}  // namespace mgpu::simgpu
