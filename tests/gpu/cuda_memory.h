// Device memory by the CUDA driver's library, loaded with dlopen: no toolkit, no runtime. Each call returns
// the driver's code (gpu/cuda_abi.h).
//
// Thread rule: every thread that calls it must have called use() once.
#pragma once

#include <cstddef>
#include <string>

#include "base/result.h"
#include "gpu/cuda_abi.h"
#include "gpu/dynamic_library.h"

namespace mgpu::gpu_check {

class CudaMemory {
 public:
  using Return = gpu::cuda::Return;
  using Pointer = gpu::cuda::DevicePointer;

  // Loads the library (runner::cuda_library()), initializes the driver and takes the first visible device.
  // Creates no context. Error: unavailable.
  static Result<CudaMemory> open();

  // Makes the device's primary context current in this thread; the first call of a process creates it.
  Return use();
  Return allocate(std::size_t bytes, Pointer& pointer) const { return mem_alloc_(&pointer, bytes); }
  Return free(Pointer pointer) const { return mem_free_(pointer); }
  // Writes `word` into every word and waits until the device has done it.
  Return fill(Pointer pointer, std::size_t bytes, std::uint32_t word) const;
  Return copy_in(Pointer to, const void* from, std::size_t bytes) const { return copy_in_(to, from, bytes); }
  Return copy_out(void* to, Pointer from, std::size_t bytes) const { return copy_out_(to, from, bytes); }
  Return allocate_pinned(std::size_t bytes, void*& pointer) const { return alloc_host_(&pointer, bytes); }
  Return info(std::size_t& free, std::size_t& total) const { return mem_info_(&free, &total); }
  Return synchronize() const { return synchronize_(); }

  const std::string& name() const { return name_; }
  // "GPU-51304c70-...", as NVML writes it; of a slice NVML writes "MIG-...".
  const std::string& uuid() const { return uuid_; }
  int driver_api_version() const { return version_; }  // 12080: CUDA 12.8
  double init_ms() const { return init_ms_; }          // what cuInit took

  std::string describe(Return code) const;

 private:
  explicit CudaMemory(gpu::DynamicLibrary library);
  Result<void> attach();

  gpu::DynamicLibrary library_;  // first, since the members below point into it
  Return (*init_)(unsigned);
  Return (*error_string_)(Return, const char**);
  Return (*driver_version_)(int*);
  Return (*device_get_)(gpu::cuda::Device*, int);
  Return (*device_name_)(char*, int, gpu::cuda::Device);
  Return (*device_uuid_)(unsigned char*, gpu::cuda::Device);
  Return (*retain_context_)(gpu::cuda::Context*, gpu::cuda::Device);
  Return (*set_current_)(gpu::cuda::Context);
  Return (*synchronize_)();
  Return (*mem_info_)(std::size_t*, std::size_t*);
  Return (*mem_alloc_)(Pointer*, std::size_t);
  Return (*mem_free_)(Pointer);
  Return (*fill_)(Pointer, std::uint32_t, std::size_t);
  Return (*copy_in_)(Pointer, const void*, std::size_t);
  Return (*copy_out_)(void*, Pointer, std::size_t);
  Return (*alloc_host_)(void**, std::size_t);
  gpu::cuda::Device device_ = 0;
  gpu::cuda::Context context_ = nullptr;
  std::string name_, uuid_;
  int version_ = 0;
  double init_ms_ = 0;
};

}  // namespace mgpu::gpu_check
