// Opens, locks and makes the file of the simulated GPU.
//
// The lock is flock() on a file description that is opened anew for every look (some microseconds; this is no
// hot path). The kernel drops it when its holder dies, also by kill -9 or with the whole machine, so nothing
// ever needs recovery; and because threads and forked children never share a description, it keeps them apart
// as well. A robust pthread mutex in the file would do neither after a reboot nor with another libc in a
// container.
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
  std::vector<std::uint64_t> slices{};  // MIG: their memory, by place; 0: the place is empty
};

// The state, locked and settled, for as long as this object lives. Keep it short: everybody else waits.
class LockedState {
 public:
  // Errors: unavailable (missing, not readable, not ours, another version), with the path in the detail.
  static Result<LockedState> open(const std::string& path);
  LockedState(LockedState&& other) noexcept;
  LockedState& operator=(LockedState&&) = delete;
  ~LockedState();

  State& operator*() const { return *state_; }
  State* operator->() const { return state_; }
  // Null: no such device.
  Device* device(unsigned index) const;

 private:
  LockedState(int fd, State* state) : fd_(fd), state_(state) {}
  int fd_ = -1;
  State* state_ = nullptr;
};

// The slices become devices behind all others, in order.
// Puts a fresh device file at `path`, whole or not at all; an existing one is replaced. Errors:
// invalid_request (no device, too many, one without memory), unavailable (the file can't be written).
Result<void> create_state_file(const std::string& path, const std::vector<DeviceSpec>& devices);

// What env MGPU_SIMGPU says; empty if unset.
std::string path_from_environment();

std::int64_t now_ns();
// The calling process. Its bytes are taken and given back under this name.
ProcessIdentity this_process();
// Zombies are dead: a driver takes memory back before the parent asks for the exit code.
bool is_alive(const ProcessIdentity& process);

}  // namespace mgpu::simgpu
