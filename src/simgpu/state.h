// The simulated GPU's memory: a file that all its processes map. This header is the file format and the rules
// of each device in it; simgpu/state_file.h opens and locks it. The library and the command share both.
//
// What is used is never stored, always summed up from what is held: a process that is killed in the middle of
// a change leaves at worst one count wrong, never a sum that disagrees with its parts.
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
inline constexpr std::uint32_t kMaxPendingFrees = 64;  // more at once are merged into the last

// As the driver's own states for cuda-checkpoint: a process that is not running waits in each of its calls.
enum class CheckpointState : std::uint32_t {
  running,
  locked,
  checkpointed,  // its bytes are in host memory: they count for nothing here
};

// What one process holds; bytes = 0 marks a place that is not taken. The start time guards against reused
// pids.
struct Holder {
  std::int32_t pid = 0;
  CheckpointState checkpoint_state = CheckpointState::running;
  std::uint64_t start_time = 0;  // /proc/PID/stat, field 22
  std::uint64_t bytes = 0;
};

// Freed, but not to be seen free before `free_at_ns` (fault: slow to free). bytes = 0 marks a free place.
struct PendingFree {
  std::uint64_t bytes = 0;
  std::int64_t free_at_ns = 0;
};

// none: NVML refuses to list processes (NOT_SUPPORTED), as under WSL2. empty: it lists nobody, as in a
// container that sees no process of the host.
enum class ProcessListFault : std::uint32_t { whole, none, empty };

// All zero: a healthy device.
struct Faults {
  std::uint64_t slow_free_ms = 0;   // freed bytes come back only after so long
  std::uint64_t leak_permille = 0;  // this part of what is freed never comes back, until cleared
  std::uint64_t foreign = 0;        // bytes that somebody without a process holds
  std::int64_t misread = 0;  // `used_bytes` is reported off by so many bytes; allocations know the truth
  std::uint32_t lost = 0;    // NVML answers GPU_IS_LOST, allocations fail
  std::uint32_t hide_processes = 0;  // per-process bytes are reported as not available
  ProcessListFault list = ProcessListFault::whole;
  std::uint32_t slow_exit_ms = 0;  // as slow_free_ms, but only of what an ended process held
  std::uint32_t hang = 0;          // NVML's calls about it don't return
  std::uint32_t unused = 0;
};

struct Device {
  std::array<char, 96> name{};
  std::array<char, 96> uuid{};
  std::uint64_t total = 0;
  std::uint64_t reserved = 0;  // by the driver; nobody can allocate it
  std::uint64_t leaked = 0;
  std::uint64_t allocations = 0;  // that succeeded
  std::uint64_t oom_count = 0;    // that were refused for want of memory
  std::uint64_t peak_used = 0;
  std::uint32_t slices = 0;    // it is cut into so many: nobody can allocate of it, only of them
  std::uint32_t slice_of = 0;  // it is a slice of this device, counted from 1
  std::uint32_t mig_slot = 0;  // and has this place in it: not every place need be taken
  std::uint32_t hanging = 0;   // calls that don't return now (fault: hang)
  Faults faults{};
  std::array<Holder, kMaxHolders> holders{};
  std::array<PendingFree, kMaxPendingFrees> pending_frees{};
};

struct State {
  std::array<char, 8> magic = kMagic;
  std::uint32_t version = kVersion;
  std::uint32_t device_count = 0;  // the slices behind the others
  std::array<Device, kMaxDevices> devices{};
};
static_assert(std::is_trivially_copyable_v<State> && std::is_standard_layout_v<State>);
static_assert(sizeof(Holder) == 24 && sizeof(PendingFree) == 16 && sizeof(Faults) == 56);
static_assert(sizeof(Device) == 312 + 24 * kMaxHolders + 16 * kMaxPendingFrees);

struct ProcessIdentity {
  std::int32_t pid = 0;
  std::uint64_t start_time = 0;
};

// What the device's own allocator counts as taken, without `is_reserved`: held, leaked, foreign and not yet
// back.
std::uint64_t used_bytes(const Device& device);

// How many of the devices are no slices: the driver counts those alone.
std::uint32_t whole_device_count(const State& state);

// What a reading says, which a fault may have bent; within 0..total-reserved.
std::uint64_t reported_used_bytes(const Device& device);

// Brings the device up to `now_ns`: bytes of dead processes start to come back, slow ones arrive.
// Call it before every other look at the device.
void advance_device(Device& device, std::int64_t now_ns,
                    const std::function<bool(const ProcessIdentity&)>& alive);

// Both answer with a code of mgpu/simgpu.h; NOT_READY: the process is locked, and its call has to wait.
int allocate(Device& device, const ProcessIdentity& process, std::uint64_t bytes);
int deallocate(Device& device, const ProcessIdentity& process, std::uint64_t bytes, std::int64_t now_ns);

// What cuda-checkpoint can do to a process, on every device where it holds anything. They answer with a code:
// INVALID_VALUE if it is not in the stage that this begins with (`restore_process` and `checkpoint_process`:
// locked or checkpointed), OUT_OF_MEMORY if what was put aside does not fit any more.
std::optional<CheckpointState> find_checkpoint_state(const State& state,
                                                     std::int32_t pid);  // none: it holds nothing
int lock_process(State& state, std::int32_t pid);
int checkpoint_process(State& state, std::int32_t pid, std::int64_t now_ns);
int restore_process(State& state, std::int32_t pid);
int unlock_process(State& state, std::int32_t pid);

// Mends everything: no fault, what leaked is free again, what is slow is back.
void clear_faults(Device& device);

}  // namespace mgpu::simgpu
