// Creates, opens and locks the state file of the simulated GPU.
//
// The lock is flock() on a file description that is opened for each access (some microseconds; this is not a
// hot path). The kernel releases it when its holder dies, so no recovery is needed. Threads and forked
// children never share a description, so the lock also excludes them from each other. A robust pthread mutex
// in the file would not survive a reboot, nor work with another libc in a container.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

#include "simgpu/state.h"

namespace mgpu::simgpu {

struct DeviceSpec {
  std::string name{};  // empty: "Simulated GPU"
  std::uint64_t total = 0;
  std::uint64_t reserved = 0;
  std::vector<std::uint64_t> slices{};  // MIG: bytes of each slot; 0: the slot is empty
};

// The state, locked and advanced to now, during the lifetime of the object. All other processes wait
// meanwhile.
class LockedState {
 public:
  // Error: unavailable (missing, not readable, not a state file, another version); the detail names the path.
  static Result<LockedState> open(const std::string& path);
  LockedState(LockedState&& other) noexcept;
  LockedState& operator=(LockedState&&) = delete;
  ~LockedState();

  State& operator*() const { return *state_; }
  State* operator->() const { return state_; }
  // Null if there is no such device.
  Device* device(unsigned index) const;

 private:
  LockedState(int fd, State* state) : fd_(fd), state_(state) {}
  int fd_ = -1;
  State* state_ = nullptr;
};

// Creates a state file at `path`, or replaces it atomically. Slices become devices after all whole ones, in
// order. Errors: invalid_request (no device, too many, one without memory), unavailable (the file can't be
// written).
Result<void> create_state_file(const std::string& path, const std::vector<DeviceSpec>& devices);

// The value of env MGPU_SIMGPU; empty if unset.
std::string path_from_environment();

std::int64_t now_ns();
// The calling process, as the holder of its bytes.
ProcessIdentity this_process();
// A zombie is not alive: a driver frees its memory before the parent waits for it.
bool is_alive(const ProcessIdentity& process);

}  // namespace mgpu::simgpu
