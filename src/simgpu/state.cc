#include "simgpu/state.h"

#include <algorithm>

#include "mgpu/simgpu.h"

namespace mgpu::simgpu {
namespace {

Holder* find_holder(Device& device, const ProcessIdentity& process) {
  const auto found = std::ranges::find_if(device.holders, [&](const Holder& holder) {
    return holder.bytes > 0 && holder.pid == process.pid && holder.start_time == process.start_time;
  });
  return found == device.holders.end() ? nullptr : &*found;
}

Holder* find_free_holder(Device& device) {
  const auto found = std::ranges::find(device.holders, std::uint64_t{0}, &Holder::bytes);
  return found == device.holders.end() ? nullptr : &*found;
}

void schedule_free(Device& device, std::uint64_t bytes, std::int64_t free_at_ns) {
  auto pending = std::ranges::find(device.pending_frees, std::uint64_t{0}, &PendingFree::bytes);
  if (pending == device.pending_frees.end()) pending = std::prev(device.pending_frees.end());
  pending->free_at_ns = std::max(pending->bytes > 0 ? pending->free_at_ns : 0, free_at_ns);
  pending->bytes += bytes;
}

// Releases bytes that are no longer held. Depending on the faults they leak or become free later.
void release(Device& device, std::uint64_t bytes, std::int64_t now_ns, std::uint64_t delay_ms) {
  const std::uint64_t permille = std::min<std::uint64_t>(device.faults.leak_permille, 1000);
  const std::uint64_t leak = bytes / 1000 * permille + bytes % 1000 * permille / 1000;
  device.leaked += leak;
  bytes -= leak;
  if (bytes == 0 || delay_ms == 0) return;
  schedule_free(device, bytes, now_ns + static_cast<std::int64_t>(delay_ms) * 1'000'000);
}

std::uint64_t free_bytes(const Device& device) {
  const std::uint64_t most = device.total - device.reserved, taken = used_bytes(device);
  return most > taken ? most - taken : 0;
}

// Calls each(device, holder) for the entries of a process on all devices.
template <class StateOrConst, class Each>
void for_each_holder(StateOrConst& state, std::int32_t pid, Each each) {
  for (std::uint32_t i = 0; i < state.device_count; ++i)
    for (auto& holder : state.devices[i].holders)
      if (holder.bytes > 0 && holder.pid == pid) each(state.devices[i], holder);
}

// Changes the state of a process from `from` to `to`; INVALID_VALUE if it is in another state.
int change_state(State& state, std::int32_t pid, CheckpointState from, CheckpointState to) {
  if (find_checkpoint_state(state, pid) != from) return MGPU_SIMGPU_INVALID_VALUE;
  for_each_holder(state, pid, [to](Device&, Holder& holder) { holder.checkpoint_state = to; });
  return MGPU_SIMGPU_OK;
}

}  // namespace

std::uint64_t used_bytes(const Device& device) {
  std::uint64_t sum = device.leaked + device.faults.foreign;
  for (const Holder& holder : device.holders)
    if (holder.checkpoint_state != CheckpointState::checkpointed) sum += holder.bytes;
  for (const PendingFree& pending : device.pending_frees) sum += pending.bytes;
  return sum;
}

std::uint32_t whole_device_count(const State& state) {
  std::uint32_t count = 0;
  while (count < state.device_count && state.devices[count].slice_of == 0) ++count;
  return count;
}

std::uint64_t reported_used_bytes(const Device& device) {
  const auto most = static_cast<std::int64_t>(device.total - device.reserved);
  const auto misreported = static_cast<std::int64_t>(used_bytes(device)) + device.faults.misread;
  return static_cast<std::uint64_t>(std::clamp<std::int64_t>(misreported, 0, most));
}

void advance_device(Device& device, std::int64_t now_ns,
                    const std::function<bool(const ProcessIdentity&)>& alive) {
  const auto delay_ms = std::max<std::uint64_t>(device.faults.slow_free_ms, device.faults.slow_exit_ms);
  for (PendingFree& pending : device.pending_frees) {
    if (pending.bytes > 0 && pending.free_at_ns <= now_ns) pending = {};
  }
  for (Holder& holder : device.holders) {
    if (holder.bytes == 0 || alive({holder.pid, holder.start_time})) continue;
    if (holder.checkpoint_state != CheckpointState::checkpointed)
      release(device, holder.bytes, now_ns, delay_ms);
    holder = {};
  }
}

int allocate(Device& device, const ProcessIdentity& process, std::uint64_t bytes) {
  if (device.faults.lost) return MGPU_SIMGPU_UNAVAILABLE;
  if (device.slices > 0) return MGPU_SIMGPU_INVALID_DEVICE;
  if (bytes == 0) return MGPU_SIMGPU_OK;
  Holder* holder = find_holder(device, process);
  if (holder && holder->checkpoint_state != CheckpointState::running) return MGPU_SIMGPU_NOT_READY;
  const std::uint64_t taken = used_bytes(device);
  if (bytes > free_bytes(device)) {
    ++device.oom_count;
    return MGPU_SIMGPU_OUT_OF_MEMORY;
  }
  if (!holder) {
    holder = find_free_holder(device);
    if (!holder) return MGPU_SIMGPU_UNKNOWN;
    holder->pid = process.pid;
    holder->start_time = process.start_time;
    holder->checkpoint_state = CheckpointState::running;
  }
  holder->bytes += bytes;  // last: bytes > 0 marks the entry as used
  ++device.allocations;
  device.peak_used = std::max(device.peak_used, taken + bytes);
  return MGPU_SIMGPU_OK;
}

int deallocate(Device& device, const ProcessIdentity& process, std::uint64_t bytes, std::int64_t now_ns) {
  if (bytes == 0) return MGPU_SIMGPU_OK;
  Holder* holder = find_holder(device, process);
  if (!holder || holder->bytes < bytes) return MGPU_SIMGPU_INVALID_VALUE;
  if (holder->checkpoint_state != CheckpointState::running) return MGPU_SIMGPU_NOT_READY;
  release(device, bytes, now_ns, device.faults.slow_free_ms);
  holder->bytes -= bytes;
  return MGPU_SIMGPU_OK;
}

std::optional<CheckpointState> find_checkpoint_state(const State& state, std::int32_t pid) {
  std::optional<CheckpointState> found;
  for_each_holder(state, pid, [&](const Device&, const Holder& holder) { found = holder.checkpoint_state; });
  return found;
}

int lock_process(State& state, std::int32_t pid) {
  return change_state(state, pid, CheckpointState::running, CheckpointState::locked);
}
int unlock_process(State& state, std::int32_t pid) {
  return change_state(state, pid, CheckpointState::locked, CheckpointState::running);
}

int checkpoint_process(State& state, std::int32_t pid, std::int64_t now_ns) {
  const int code = change_state(state, pid, CheckpointState::locked, CheckpointState::checkpointed);
  if (code != MGPU_SIMGPU_OK) return code;
  for_each_holder(state, pid, [&](Device& device, Holder& holder) {
    release(device, holder.bytes, now_ns, device.faults.slow_free_ms);
  });
  return code;
}

int restore_process(State& state, std::int32_t pid) {
  int code = find_checkpoint_state(state, pid) == CheckpointState::checkpointed ? MGPU_SIMGPU_OK
                                                                                : MGPU_SIMGPU_INVALID_VALUE;
  for_each_holder(state, pid, [&](Device& device, Holder& holder) {
    if (code != MGPU_SIMGPU_OK || holder.bytes <= free_bytes(device)) return;
    ++device.oom_count;
    code = MGPU_SIMGPU_OUT_OF_MEMORY;
  });
  return code == MGPU_SIMGPU_OK
             ? change_state(state, pid, CheckpointState::checkpointed, CheckpointState::locked)
             : code;
}

void clear_faults(Device& device) {
  device.faults = {};
  device.leaked = 0;
  device.pending_frees = {};
}

}  // namespace mgpu::simgpu
