#include "tests/gpu/cuda_memory.h"

#include <array>
#include <cstdio>
#include <utility>

#include "runner/cuda_driver.h"

#include "tests/gpu/clock.h"

namespace mgpu::gpu_check {

namespace cuda = gpu::cuda;

namespace {

std::string uuid_text(const std::array<unsigned char, 16>& bytes) {
  std::string text = "GPU";
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    if (i == 0 || i == 4 || i == 6 || i == 8 || i == 10) text += '-';
    std::array<char, 3> digits{};
    std::snprintf(digits.data(), digits.size(), "%02x", bytes[i]);
    text += digits.data();
  }
  return text;
}

}  // namespace

CudaMemory::CudaMemory(gpu::DynamicLibrary library)
    : library_(std::move(library)),
      init_(library_.find<Return(unsigned)>({"cuInit"})),
      error_string_(library_.find<Return(Return, const char**)>({"cuGetErrorString"})),
      driver_version_(library_.find<Return(int*)>({"cuDriverGetVersion"})),
      device_get_(library_.find<Return(cuda::Device*, int)>({"cuDeviceGet"})),
      device_name_(library_.find<Return(char*, int, cuda::Device)>({"cuDeviceGetName"})),
      device_uuid_(
          library_.find<Return(unsigned char*, cuda::Device)>({"cuDeviceGetUuid_v2", "cuDeviceGetUuid"})),
      retain_context_(library_.find<Return(cuda::Context*, cuda::Device)>({"cuDevicePrimaryCtxRetain"})),
      set_current_(library_.find<Return(cuda::Context)>({"cuCtxSetCurrent"})),
      synchronize_(library_.find<Return()>({"cuCtxSynchronize"})),
      mem_info_(library_.find<Return(std::size_t*, std::size_t*)>({"cuMemGetInfo_v2"})),
      mem_alloc_(library_.find<Return(Pointer*, std::size_t)>({"cuMemAlloc_v2"})),
      mem_free_(library_.find<Return(Pointer)>({"cuMemFree_v2"})),
      fill_(library_.find<Return(Pointer, std::uint32_t, std::size_t)>({"cuMemsetD32_v2"})),
      copy_in_(library_.find<Return(Pointer, const void*, std::size_t)>({"cuMemcpyHtoD_v2"})),
      copy_out_(library_.find<Return(void*, Pointer, std::size_t)>({"cuMemcpyDtoH_v2"})),
      alloc_host_(library_.find<Return(void**, std::size_t)>({"cuMemAllocHost_v2"})) {}

std::string CudaMemory::describe(Return code) const {
  const char* text = nullptr;
  if (error_string_) error_string_(code, &text);
  return std::string(text != nullptr ? text : "CUDA error") + " (code " + std::to_string(code) + ")";
}

Result<void> CudaMemory::attach() {
  for (const bool found :
       {init_ != nullptr, driver_version_ != nullptr, device_get_ != nullptr, device_name_ != nullptr,
        device_uuid_ != nullptr, retain_context_ != nullptr, set_current_ != nullptr, synchronize_ != nullptr,
        mem_info_ != nullptr, mem_alloc_ != nullptr, mem_free_ != nullptr, fill_ != nullptr,
        copy_in_ != nullptr, copy_out_ != nullptr, alloc_host_ != nullptr})
    if (!found) return fail(ErrorCode::unavailable, "the CUDA driver's library lacks a function");
  const double start = now_ms();
  if (const Return code = init_(0); code != cuda::kSuccess)
    return fail(ErrorCode::unavailable, "cuInit: " + describe(code));
  init_ms_ = now_ms() - start;
  driver_version_(&version_);
  if (const Return code = device_get_(&device_, 0); code != cuda::kSuccess)
    return fail(ErrorCode::unavailable, "cuDeviceGet: " + describe(code));
  std::array<char, 128> name{};
  device_name_(name.data(), static_cast<int>(name.size()) - 1, device_);
  name_ = name.data();
  std::array<unsigned char, 16> uuid{};
  if (device_uuid_(uuid.data(), device_) == cuda::kSuccess) uuid_ = uuid_text(uuid);
  return {};
}

Result<CudaMemory> CudaMemory::open() {
  const std::string path = runner::cuda_library();
  gpu::DynamicLibrary library(path);
  if (!library) {
    const char* why = dlerror();
    return fail(ErrorCode::unavailable, "can't load " + path + ": " + (why ? why : "no reason given"));
  }
  CudaMemory memory(std::move(library));
  if (const auto attached = memory.attach(); !attached) return std::unexpected(attached.error());
  return memory;
}

CudaMemory::Return CudaMemory::use() {
  if (context_ == nullptr)
    if (const Return code = retain_context_(&context_, device_); code != cuda::kSuccess) return code;
  return set_current_(context_);
}

CudaMemory::Return CudaMemory::fill(Pointer pointer, std::size_t bytes, std::uint32_t word) const {
  if (const Return code = fill_(pointer, word, bytes / 4); code != cuda::kSuccess) return code;
  return synchronize_();
}

}  // namespace mgpu::gpu_check
