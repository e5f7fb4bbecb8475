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
void release(Device& device, std::uint64_t bytes, std::int64_t now_ns, std::uint64_t delay_ms) {
  const std::uint64_t permille = std::min<std::uint64_t>(device.faults.leak_permille, 1000);
  const std::uint64_t leak = bytes / 1000 * permille + bytes % 1000 * permille / 1000;
  device.leaked += leak;
  bytes -= leak;
  if (bytes == 0 || delay_ms == 0) return;
  return_later(device, bytes, now_ns + static_cast<std::int64_t>(delay_ms) * 1'000'000);
}

std::uint64_t room(const Device& device) {
  const std::uint64_t most = device.total - device.reserved, taken = used(device);
  return most > taken ? most - taken : 0;
}

// A process' places on all devices: each(device, holder).
template <class StateOrConst, class Each>
void for_each_holder(StateOrConst& state, std::int32_t pid, Each each) {
  for (std::uint32_t i = 0; i < state.device_count; ++i)
    for (auto& holder : state.devices[i].holders)
      if (holder.bytes > 0 && holder.pid == pid) each(state.devices[i], holder);
}

// From one stage to the next, or nothing at all.
int move_on(State& state, std::int32_t pid, Stage from, Stage to) {
  if (stage_of(state, pid) != from) return MGPU_SIMGPU_INVALID_VALUE;
  for_each_holder(state, pid, [to](Device&, Holder& holder) { holder.stage = to; });
  return MGPU_SIMGPU_OK;
}

}  // namespace

std::uint64_t used(const Device& device) {
  std::uint64_t sum = device.leaked + device.faults.foreign;
  for (const Holder& holder : device.holders)
    if (holder.stage != Stage::checkpointed) sum += holder.bytes;
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
  const auto delay_ms = std::max<std::uint64_t>(device.faults.slow_free_ms, device.faults.slow_exit_ms);
  for (Returning& returning : device.returning) {
    if (returning.bytes > 0 && returning.free_at_ns <= now_ns) returning = {};
  }
  for (Holder& holder : device.holders) {
    if (holder.bytes == 0 || alive({holder.pid, holder.start_time})) continue;
    if (holder.stage != Stage::checkpointed) release(device, holder.bytes, now_ns, delay_ms);
    holder = {};
  }
}

int take(Device& device, const Process& process, std::uint64_t bytes) {
  if (device.faults.lost) return MGPU_SIMGPU_UNAVAILABLE;
  if (device.slices > 0) return MGPU_SIMGPU_INVALID_DEVICE;
  if (bytes == 0) return MGPU_SIMGPU_OK;
  Holder* holder = holder_of(device, process);
  if (holder && holder->stage != Stage::running) return MGPU_SIMGPU_NOT_READY;
  const std::uint64_t taken = used(device);
  if (bytes > room(device)) {
    ++device.oom_count;
    return MGPU_SIMGPU_OUT_OF_MEMORY;
  }
  if (!holder) {
    holder = free_place(device);
    if (!holder) return MGPU_SIMGPU_UNKNOWN;
    holder->pid = process.pid;
    holder->start_time = process.start_time;
    holder->stage = Stage::running;
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
  if (holder->stage != Stage::running) return MGPU_SIMGPU_NOT_READY;
  release(device, bytes, now_ns, device.faults.slow_free_ms);
  holder->bytes -= bytes;
  return MGPU_SIMGPU_OK;
}

std::optional<Stage> stage_of(const State& state, std::int32_t pid) {
  std::optional<Stage> stage;
  for_each_holder(state, pid, [&](const Device&, const Holder& holder) { stage = holder.stage; });
  return stage;
}

int lock(State& state, std::int32_t pid) { return move_on(state, pid, Stage::running, Stage::locked); }
int unlock(State& state, std::int32_t pid) { return move_on(state, pid, Stage::locked, Stage::running); }

int checkpoint(State& state, std::int32_t pid, std::int64_t now_ns) {
  const int code = move_on(state, pid, Stage::locked, Stage::checkpointed);
  if (code != MGPU_SIMGPU_OK) return code;
  for_each_holder(state, pid, [&](Device& device, Holder& holder) {
    release(device, holder.bytes, now_ns, device.faults.slow_free_ms);
  });
  return code;
}

int restore(State& state, std::int32_t pid) {
  int code = stage_of(state, pid) == Stage::checkpointed ? MGPU_SIMGPU_OK : MGPU_SIMGPU_INVALID_VALUE;
  for_each_holder(state, pid, [&](Device& device, Holder& holder) {
    if (code != MGPU_SIMGPU_OK || holder.bytes <= room(device)) return;
    ++device.oom_count;
    code = MGPU_SIMGPU_OUT_OF_MEMORY;
  });
  return code == MGPU_SIMGPU_OK ? move_on(state, pid, Stage::checkpointed, Stage::locked) : code;
}

void clear_faults(Device& device) {
  device.faults = {};
  device.leaked = 0;
  device.returning = {};
}

}  // namespace mgpu::simgpu
