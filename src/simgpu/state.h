// The simulated GPU: a state file that all its processes map into memory. This header defines the file format
// and the operations on it; simgpu/state_file.h opens and locks the file. The library and the command use
// both.
//
// Used bytes are not stored but summed up over the holders. So a process that is killed during a change can
// make one counter wrong, but never a sum that disagrees with its parts.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>

namespace mgpu::simgpu {

inline constexpr std::array<char, 8> kMagic{'m', 'g', 'p', 'u', 's', 'i', 'm', '\0'};
inline constexpr std::uint32_t kVersion = 4;
inline constexpr std::uint32_t kMaxDevices = 16;  // slices included
inline constexpr std::uint32_t kMaxHolders = 256;
inline constexpr std::uint32_t kMaxPendingFrees = 64;  // further ones are merged into the last

// The driver's states for cuda-checkpoint. A process that is not `running` waits in each of its calls.
enum class CheckpointState : std::uint32_t {
  running,
  locked,
  checkpointed,  // its bytes are in host memory and do not count as used
};

// The bytes that one process holds; bytes = 0 marks an unused entry. The start time detects reused pids.
struct Holder {
  std::int32_t pid = 0;
  CheckpointState checkpoint_state = CheckpointState::running;
  std::uint64_t start_time = 0;  // /proc/PID/stat, field 22
  std::uint64_t bytes = 0;
};

// Bytes that stay used until `free_at_ns` (faults slow_free and slow_exit); bytes = 0 marks an unused entry.
struct PendingFree {
  std::uint64_t bytes = 0;
  std::int64_t free_at_ns = 0;
};

// none: NVML does not list processes (NOT_SUPPORTED), as under WSL2. empty: the list is empty, as in a
// container that does not see the host's processes.
enum class ProcessListFault : std::uint32_t { whole, none, empty };

// All zero: a healthy device.
struct Faults {
  std::uint64_t slow_free_ms = 0;    // delay until freed bytes become free
  std::uint64_t leak_permille = 0;   // part of freed bytes that stays used until cleared
  std::uint64_t foreign = 0;         // bytes used by no process
  std::int64_t misread = 0;          // error added to the reported used bytes; allocations use the true value
  std::uint32_t lost = 0;            // NVML returns GPU_IS_LOST, allocations fail
  std::uint32_t hide_processes = 0;  // NVML reports the bytes of processes as not available
  ProcessListFault list = ProcessListFault::whole;
  std::uint32_t slow_exit_ms = 0;  // like slow_free_ms, for the bytes of exited processes
  std::uint32_t hang = 0;          // NVML calls for the device do not return
  std::uint32_t unused = 0;
};

struct Device {
  std::array<char, 96> name{};
  std::array<char, 96> uuid{};
  std::uint64_t total = 0;
  std::uint64_t reserved = 0;  // by the driver; can't be allocated
  std::uint64_t leaked = 0;
  std::uint64_t allocations = 0;  // successful ones
  std::uint64_t oom_count = 0;    // allocations refused for lack of memory
  std::uint64_t peak_used = 0;
  std::uint32_t slices = 0;    // number of its MIG slices; if > 0, only these can be allocated from
  std::uint32_t slice_of = 0;  // if > 0: it is a slice of device slice_of - 1
  std::uint32_t mig_slot = 0;  // its slot in that device; slots may be empty
  std::uint32_t hanging = 0;   // calls that are blocked now (fault: hang)
  Faults faults{};
  std::array<Holder, kMaxHolders> holders{};
  std::array<PendingFree, kMaxPendingFrees> pending_frees{};
};

struct State {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t device_count = 0;  // includes slices, which follow the whole devices
  std::array<Device, kMaxDevices> devices{};
};
static_assert(std::is_trivially_copyable_v<State> && std::is_standard_layout_v<State>);
static_assert(sizeof(Holder) == 24 && sizeof(PendingFree) == 16 && sizeof(Faults) == 56);
static_assert(sizeof(Device) == 312 + 24 * kMaxHolders + 16 * kMaxPendingFrees);

struct ProcessIdentity {
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;
};

// The bytes that the allocator counts as used, without `reserved`: held, leaked, foreign and pending frees.
std::uint64_t used_bytes(const Device& device);

// The number of devices that are not slices, as nvmlDeviceGetCount returns it.
std::uint32_t whole_device_count(const State& state);

// The used bytes that NVML reports, with the fault `misread`; within 0..total-reserved.
std::uint64_t reported_used_bytes(const Device& device);

// Advances the device to `now_ns`: releases the bytes of exited processes, completes pending frees.
// Call it before any other operation on the device.
void advance_device(Device& device, std::int64_t now_ns,
                    const std::function<bool(const ProcessIdentity&)>& alive);

// Both return a code of mgpu/simgpu.h. NOT_READY: the process is locked, and the call must be repeated.
int allocate(Device& device, const ProcessIdentity& process, std::uint64_t bytes);
int deallocate(Device& device, const ProcessIdentity& process, std::uint64_t bytes, std::int64_t now_ns);

// The operations of cuda-checkpoint on a process, on all devices where it holds memory: lock, checkpoint,
// restore, unlock, in this order. They return a code of mgpu/simgpu.h: INVALID_VALUE if the process is not in
// the state that the operation starts from, OUT_OF_MEMORY if restored bytes do not fit.
std::optional<CheckpointState> find_checkpoint_state(const State& state,
                                                     std::int32_t pid);  // nullopt: it holds no memory
int lock_process(State& state, std::int32_t pid);
int checkpoint_process(State& state, std::int32_t pid, std::int64_t now_ns);
int restore_process(State& state, std::int32_t pid);
int unlock_process(State& state, std::int32_t pid);

// Removes all faults; leaked bytes and pending frees become free.
void clear_faults(Device& device);

}  // namespace mgpu::simgpu
