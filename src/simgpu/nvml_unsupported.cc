// What clients ask of every device and a simulated GPU does not have. The driver exports these functions for
// each device too, and answers NOT_SUPPORTED where one has no such part; a client that links them would not
// even load without them. Functions that are not here are FUNCTION_NOT_FOUND, as with an old driver.
#include "simgpu/nvml_call.h"

namespace {

mgpu::gpu::nvml::Return refuse(mgpu::gpu::nvml::Device handle) {
  namespace nvml = mgpu::gpu::nvml;
  return mgpu::simgpu::with_device(handle, handle, [](const auto&) { return nvml::kNotSupported; });
}

}  // namespace

// The arguments after the handle are neither read nor written, so they need no declaration.
#define MGPU_NVML_UNSUPPORTED(function) \
  MGPU_NVML mgpu::gpu::nvml::Return function(mgpu::gpu::nvml::Device handle) { return refuse(handle); }

MGPU_NVML_UNSUPPORTED(nvmlDeviceGetArchitecture)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetBoardPartNumber)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetBrand)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetClock)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetClockInfo)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetComputeMode)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetConfComputeMemSizeInfo)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetCudaComputeCapability)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetCurrPcieLinkGeneration)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetCurrPcieLinkWidth)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetCurrentClocksThrottleReasons)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetDecoderUtilization)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetDisplayActive)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetDisplayMode)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetDriverModel)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetDriverModel_v2)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetEccMode)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetEncoderUtilization)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetFanSpeed)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetFanSpeed_v2)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetFieldValues)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetInforomVersion)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetMaxClockInfo)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetMaxPcieLinkGeneration)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetMaxPcieLinkWidth)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetNumFans)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetNumGpuCores)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetPcieThroughput)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetPerformanceState)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetPersistenceMode)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetPowerManagementDefaultLimit)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetPowerManagementLimitConstraints)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetPowerState)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetProcessUtilization)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetRunningProcessDetailList)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetSerial)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetTemperatureThreshold)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetTotalEccErrors)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetTotalEnergyConsumption)
MGPU_NVML_UNSUPPORTED(nvmlDeviceGetVbiosVersion)
MGPU_NVML_UNSUPPORTED(nvmlDeviceRegisterEvents)
