#include "simgpu/state_file.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <memory>
#include <utility>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/process_table.h"

namespace mgpu::simgpu {
namespace {

std::string errno_text() { return std::strerror(errno); }

std::unexpected<Error> file_error(const std::string& path, const std::string& what) {
  return fail(ErrorCode::unavailable, "simulated GPU \"" + path + "\": " + what);
}

bool lock_file(int fd) {
  while (flock(fd, LOCK_EX) != 0) {
    if (errno != EINTR) return false;
  }
  return true;
}

bool write_all(int fd, const void* data, std::size_t size) {
  for (const char* at = static_cast<const char*>(data); size > 0;) {
    const ssize_t written = write(fd, at, size);
    if (written < 0 && errno != EINTR) return false;
    if (written < 0) continue;
    at += written;
    size -= static_cast<std::size_t>(written);
  }
  return true;
}

template <std::size_t N>
void copy_text(std::array<char, N>& into, const std::string& text) {
  std::copy_n(text.data(), std::min(text.size(), N - 1), into.data());
}

Device make_device(const DeviceSpec& spec, std::size_t index) {
  Device device;
  copy_text(device.name, spec.name.empty() ? "Simulated GPU" : spec.name);
  // The UUIDs are the same in every file, so that a configuration with them stays valid when it is created
  // again.
  copy_text(device.uuid, (index < 10 ? "GPU-51304c70-0000-4000-8000-00000000000"
                                     : "GPU-51304c70-0000-4000-8000-0000000000") +
                             std::to_string(index));
  device.total = spec.total;
  device.reserved = spec.reserved;
  return device;
}

Result<void> add_device(State& state, const DeviceSpec& spec) {
  if (state.device_count == kMaxDevices) {
    return fail(ErrorCode::invalid_request,
                "at most " + std::to_string(kMaxDevices) + " devices fit into one file");
  }
  if (spec.total <= spec.reserved)
    return fail(ErrorCode::invalid_request,
                "a device needs more memory than its driver reserves: " + std::to_string(spec.total) +
                    " <= " + std::to_string(spec.reserved) + " bytes");
  state.devices[state.device_count] = make_device(spec, state.device_count);
  ++state.device_count;
  return {};
}

Result<void> add_slices(State& state, std::uint32_t whole, const std::vector<std::uint64_t>& slices) {
  std::uint64_t sum = 0;
  for (std::uint32_t slot = 0; slot < slices.size(); ++slot) {
    if (slices[slot] == 0) continue;
    sum += slices[slot];
    const std::uint32_t index = state.device_count;
    const std::string name = std::string(state.devices[whole].name.data()) + " MIG slice";
    if (const auto added = add_device(state, {.name = name, .total = slices[slot]}); !added) return added;
    Device& slice = state.devices[index];
    slice.slice_of = whole + 1;
    slice.mig_slot = slot;
    copy_text(slice.uuid, "MIG" + std::string(slice.uuid.data()).substr(3));
    ++state.devices[whole].slices;
  }
  if (sum > state.devices[whole].total - state.devices[whole].reserved)
    return fail(ErrorCode::invalid_request,
                "the slices of device " + std::to_string(whole) + " are larger together than the device");
  return {};
}

}  // namespace

Result<LockedState> LockedState::open(const std::string& path) {
  if (path.empty())
    return fail(ErrorCode::unavailable,
                "no simulated GPU: set the environment variable MGPU_SIMGPU to its file");
  const int fd = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return file_error(path, errno_text());
  LockedState locked(fd, nullptr);  // closes fd on every return
  if (!lock_file(fd)) return file_error(path, "can't be locked: " + errno_text());

  struct stat status{};
  if (fstat(fd, &status) != 0) return file_error(path, errno_text());
  if (static_cast<std::size_t>(status.st_size) != sizeof(State))
    return file_error(path, "is not a file of a simulated GPU (its size is wrong)");
  void* mapped = mmap(nullptr, sizeof(State), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (mapped == MAP_FAILED) return file_error(path, "can't be mapped: " + errno_text());
  locked.state_ = static_cast<State*>(mapped);
  if (locked->magic != kMagic) return file_error(path, "is not a file of a simulated GPU");
  if (locked->version != kVersion || locked->device_count > kMaxDevices) {
    return file_error(path, "has version " + std::to_string(locked->version) +
                                ", but this program supports version " + std::to_string(kVersion) +
                                ": create it again with mgpu-simgpu create --force");
  }
  const std::int64_t now = now_ns();
  for (unsigned index = 0; Device* device = locked.device(index); ++index)
    advance_device(*device, now, is_alive);
  return locked;
}

LockedState::LockedState(LockedState&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), state_(std::exchange(other.state_, nullptr)) {}

LockedState::~LockedState() {
  if (state_) munmap(state_, sizeof(State));
  if (fd_ < 0) return;
  flock(fd_, LOCK_UN);  // explicit: a child forked meanwhile may still have the description open
  close(fd_);
}

Device* LockedState::device(unsigned index) const {
  return index < state_->device_count ? &state_->devices[index] : nullptr;
}

Result<void> create_state_file(const std::string& path, const std::vector<DeviceSpec>& devices) {
  if (devices.empty()) return fail(ErrorCode::invalid_request, "a simulated GPU needs at least one device");
  const auto state = std::make_unique<State>();
  for (const DeviceSpec& spec : devices)
    if (const auto added = add_device(*state, spec); !added) return added;
  for (std::uint32_t whole = 0; whole < devices.size(); ++whole)
    if (const auto added = add_slices(*state, whole, devices[whole].slices); !added) return added;

  const std::string temporary_path = path + "." + std::to_string(getpid()) + ".new";
  const int fd = ::open(temporary_path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (fd < 0) return file_error(path, "can't be created: " + errno_text());
  const bool written = write_all(fd, state.get(), sizeof(State));
  close(fd);
  if (written && std::rename(temporary_path.c_str(), path.c_str()) == 0) return {};
  const auto error = file_error(path, "can't be written: " + errno_text());
  unlink(temporary_path.c_str());
  return error;
}

std::string path_from_environment() {
  const char* path = std::getenv("MGPU_SIMGPU");
  return path ? path : "";
}

std::int64_t now_ns() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);  // the same clock in all processes
  return static_cast<std::int64_t>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
}

ProcessIdentity this_process() {
  const auto stat = gpu::read_process(getpid());
  return {getpid(), stat ? stat->start_time : 0};
}

bool is_alive(const ProcessIdentity& process) {
  const auto stat = gpu::read_process(process.pid);
  return stat && stat->start_time == process.start_time && !gpu::has_ended(*stat);
}

}  // namespace mgpu::simgpu
