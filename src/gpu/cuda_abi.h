// The part of the CUDA driver API's ABI that is used here (cuda.h 12.8 and 13, x86-64), declared so that the
// build does not need NVIDIA's header. It is called through dlsym on libcuda.so.1. The names in comments are
// the exported symbols.
#pragma once

#include <cstdint>

namespace mgpu::gpu::cuda {

using Return = int;                   // CUresult
using Device = int;                   // CUdevice
using Context = void*;                // CUcontext, opaque
using DevicePointer = std::uint64_t;  // CUdeviceptr

inline constexpr const char* kLibrary = "libcuda.so.1";

inline constexpr Return kSuccess = 0;
inline constexpr Return kInvalidValue = 1;
inline constexpr Return kOutOfMemory = 2;
inline constexpr Return kNotInitialized = 3;
inline constexpr Return kNoDevice = 100;
inline constexpr Return kInvalidDevice = 101;
inline constexpr Return kOperatingSystem = 304;  // also: a process whose restore failed before
inline constexpr Return kIllegalState = 401;
inline constexpr Return kNotReady = 600;  // a lock that was not got in time
inline constexpr Return kNotSupported = 801;
inline constexpr Return kUnknown = 999;

// CUprocessState. The last two are known to driver 580 and later.
enum class ProcessState : std::uint32_t {
  running = 0,
  locked = 1,        // its CUDA calls block
  checkpointed = 2,  // its device memory is in host memory, and the device is released
  failed = 3,        // it can't be recovered
  checkpointing = 4,
  restoring = 5,
};

// CUcheckpointLockArgs. A timeout of 0 waits for ever.
struct CheckpointLockArgs {
  std::uint32_t timeout_ms = 0;
  std::uint32_t reserved0 = 0;
  std::uint64_t reserved1[7] = {};
};

// CUcheckpointCheckpointArgs, CUcheckpointRestoreArgs, CUcheckpointUnlockArgs: 64 bytes each. All zero means
// no options in every version of the API (those of CUDA 13: other devices at the restore, storage of one's
// own).
struct CheckpointArgs {
  std::uint64_t reserved[8] = {};
};
static_assert(sizeof(CheckpointLockArgs) == 64 && sizeof(CheckpointArgs) == 64);

}  // namespace mgpu::gpu::cuda
