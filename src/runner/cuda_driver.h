// The checkpoint calls of the CUDA driver's library (driver 570 and later), loaded with dlopen. They act on
// another process, need the permission to trace it (usually root), and may block for as long as the device
// works and the memory is copied.
//
// init() attaches to the devices (a tenth of a second to some seconds) and can't be undone in a process. It
// creates no CUDA context and takes no device memory.
#pragma once

#include <memory>
#include <string>

#include "gpu/cuda_abi.h"
#include "gpu/dynamic_library.h"
#include "runner/checkpoint_actions.h"

namespace mgpu::runner {

// Where the driver's library is: $MGPU_CUDA_LIBRARY, else the soname that the loader knows.
std::string cuda_library();

class CudaDriver final : public CheckpointActions {
 public:
  // Loads the library and does not call it. Error: not_supported (no such library, or it lacks the calls).
  static Result<std::unique_ptr<CudaDriver>> open(const std::string& library);

  // REQUIRED before the calls below. Error: unavailable.
  Result<void> init();

  Result<std::string> query_state(int pid, Duration limit) override;
  Result<void> run_action(std::string_view action, int pid, Duration limit) override;

 private:
  using Return = gpu::cuda::Return;
  using Args = gpu::cuda::CheckpointArgs;

  explicit CudaDriver(gpu::DynamicLibrary library);
  bool is_complete() const;
  std::string describe_error(Return code) const;
  Result<void> check(Return code, std::string_view action, int pid) const;

  gpu::DynamicLibrary library_;  // first, since the members below point into it
  Return (*init_)(unsigned flags);
  Return (*error_string_)(Return, const char**);
  Return (*get_state_)(int pid, std::uint32_t* state);
  Return (*lock_)(int pid, gpu::cuda::CheckpointLockArgs*);
  Return (*checkpoint_)(int pid, Args*);
  Return (*restore_)(int pid, Args*);
  Return (*unlock_)(int pid, Args*);
};

}  // namespace mgpu::runner
