// The part of NVML's ABI that is used here (nvml.h 12.9, x86-64), declared so that the build does not need
// NVIDIA's header. gpu/nvml.cc calls it through dlsym, src/simgpu implements it; the static_asserts check
// that both have the driver's layout.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mgpu::gpu::nvml {

using Return = int;
using Device = void*;  // opaque

inline constexpr Return kSuccess = 0;
inline constexpr Return kUninitialized = 1;
inline constexpr Return kInvalidArgument = 2;
inline constexpr Return kNotSupported = 3;
inline constexpr Return kNotFound = 6;
inline constexpr Return kInsufficientSize = 7;
inline constexpr Return kDriverNotLoaded = 9;
inline constexpr Return kGpuIsLost = 15;
inline constexpr Return kArgumentVersionMismatch = 25;
inline constexpr Return kUnknown = 999;

inline constexpr std::uint64_t kValueNotAvailable = ~std::uint64_t{0};
inline constexpr std::uint32_t kNoInstance = 0xFFFFFFFF;  // gpuInstanceId, computeInstanceId without MIG
inline constexpr unsigned kNameSize = 96;                 // name, UUID
inline constexpr std::size_t kBusIdSize = 32;
inline constexpr std::size_t kLegacyBusIdSize = 16;
inline constexpr unsigned kVersionSize = 80;  // driver version
inline constexpr int kTemperatureGpu = 0;
inline constexpr unsigned kMigOn = 1;

struct Memory {
  std::uint64_t total = 0;
  std::uint64_t free = 0;
  std::uint64_t used = 0;  // includes the driver's reserve: used + free = total
};
static_assert(sizeof(Memory) == 24 && offsetof(Memory, free) == 8 && offsetof(Memory, used) == 16);

inline constexpr std::uint32_t kMemoryV2 = 0x02000028;  // sizeof | 2 << 24; the caller sets it

struct MemoryV2 {
  std::uint32_t version = kMemoryV2;
  std::uint64_t total = 0;
  std::uint64_t reserved = 0;
  std::uint64_t free = 0;
  std::uint64_t used = 0;  // allocations only
};
static_assert(sizeof(MemoryV2) == 40 && offsetof(MemoryV2, total) == 8 &&
              offsetof(MemoryV2, reserved) == 16 && offsetof(MemoryV2, free) == 24 &&
              offsetof(MemoryV2, used) == 32);
static_assert(kMemoryV2 == (sizeof(MemoryV2) | 2U << 24));

// What the functions of process lists without a suffix write: gpu/nvml.cc must not call them.
struct ProcessInfoV1 {
  std::uint32_t pid = 0;
  std::uint64_t used_gpu_memory = 0;
};
static_assert(sizeof(ProcessInfoV1) == 16 && offsetof(ProcessInfoV1, used_gpu_memory) == 8);

// For the functions _v2 and _v3.
struct ProcessInfo {
  std::uint32_t pid = 0;
  std::uint64_t used_gpu_memory = 0;  // kValueNotAvailable: unknown
  std::uint32_t gpu_instance_id = kNoInstance;
  std::uint32_t compute_instance_id = kNoInstance;
};
static_assert(sizeof(ProcessInfo) == 24 && offsetof(ProcessInfo, used_gpu_memory) == 8 &&
              offsetof(ProcessInfo, gpu_instance_id) == 16 &&
              offsetof(ProcessInfo, compute_instance_id) == 20);

struct Utilization {
  std::uint32_t gpu = 0;     // percent
  std::uint32_t memory = 0;  // percent
};
static_assert(sizeof(Utilization) == 8);

// For the functions _v2 and _v3, which write the same bytes: _v2 calls the last field reserved.
struct PciInfo {
  std::array<char, kLegacyBusIdSize> bus_id_legacy{};  // domain with 4 digits
  std::uint32_t domain = 0;
  std::uint32_t bus = 0;
  std::uint32_t device = 0;
  std::uint32_t pci_device_id = 0;
  std::uint32_t pci_subsystem_id = 0;
  std::array<char, kBusIdSize> bus_id{};  // domain with 8 digits
};
static_assert(sizeof(PciInfo) == 68 && offsetof(PciInfo, domain) == 16 && offsetof(PciInfo, bus_id) == 36);

inline constexpr std::uint32_t kTemperatureV1 = 0x0100000C;  // sizeof | 1 << 24; the caller sets it

struct TemperatureV1 {
  std::uint32_t version = kTemperatureV1;
  std::int32_t sensor = kTemperatureGpu;
  std::int32_t celsius = 0;
};
static_assert(sizeof(TemperatureV1) == 12 && kTemperatureV1 == (sizeof(TemperatureV1) | 1U << 24));

}  // namespace mgpu::gpu::nvml
