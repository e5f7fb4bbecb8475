// NVML's functions of the library and the system: init, shutdown, versions, error texts, names of processes.
#include <array>

#include "gpu/process_table.h"

#include "simgpu/nvml_call.h"

namespace nvml = mgpu::gpu::nvml;
namespace simgpu = mgpu::simgpu;
using nvml::Return;

namespace {

// What the simulated driver says of itself. The version has the driver's form, since clients compare its
// parts.
constexpr const char* kDriverVersion = "570.0.simulated";
constexpr const char* kNvmlVersion = "12.570.0.simulated";
constexpr int kCudaVersion = 12080;  // 1000 * major + 10 * minor

struct ErrorText {
  Return code = nvml::kSuccess;
  const char* text = "";
};

// The texts of nvmlErrorString; clients show them.
constexpr std::array kErrorTexts{
    ErrorText{0, "Success"},
    ErrorText{1, "Uninitialized"},
    ErrorText{2, "Invalid Argument"},
    ErrorText{3, "Not Supported"},
    ErrorText{4, "Insufficient Permissions"},
    ErrorText{5, "Already Initialized"},
    ErrorText{6, "Not Found"},
    ErrorText{7, "Insufficient Size"},
    ErrorText{8, "Insufficient External Power"},
    ErrorText{9, "Driver Not Loaded: env MGPU_SIMGPU must name a simulated GPU's file"},
    ErrorText{10, "Timeout"},
    ErrorText{11, "Interrupt Request Issue"},
    ErrorText{12, "NVML Shared Library Not Found"},
    ErrorText{13, "Function Not Found"},
    ErrorText{14, "Corrupted infoROM"},
    ErrorText{15, "GPU is lost"},
    ErrorText{16, "GPU requires restart"},
    ErrorText{17, "The operating system has blocked the request."},
    ErrorText{18, "RM has detected an NVML/RM version mismatch."},
    ErrorText{19, "In use by another client"},
    ErrorText{20, "Insufficient Memory"},
    ErrorText{25, "Argument version mismatch"},
};

Return initialize() {
  simgpu::count_initialization();
  const Return code = simgpu::with_state([](const auto&) { return nvml::kSuccess; });
  if (code != nvml::kSuccess) simgpu::count_shutdown();
  return code;
}

}  // namespace

MGPU_NVML Return nvmlInit() { return initialize(); }
MGPU_NVML Return nvmlInit_v2() { return initialize(); }

// The flags allow to start without a device, or not to attach to any; neither makes a difference here.
MGPU_NVML Return nvmlInitWithFlags(unsigned) { return initialize(); }

MGPU_NVML Return nvmlShutdown() { return simgpu::count_shutdown() ? nvml::kSuccess : nvml::kUninitialized; }

MGPU_NVML const char* nvmlErrorString(Return code) {
  for (const ErrorText& error : kErrorTexts)
    if (error.code == code) return error.text;
  return "Unknown Error";
}

MGPU_NVML Return nvmlSystemGetDriverVersion(char* version, unsigned length) {
  return simgpu::with_state([&](const auto&) { return simgpu::copy_text(kDriverVersion, version, length); });
}

// This one and the version of CUDA are known without initialization, as with the driver.
MGPU_NVML Return nvmlSystemGetNVMLVersion(char* version, unsigned length) {
  return simgpu::copy_text(kNvmlVersion, version, length);
}

MGPU_NVML Return nvmlSystemGetCudaDriverVersion(int* version) {
  if (!version) return nvml::kInvalidArgument;
  *version = kCudaVersion;
  return nvml::kSuccess;
}

MGPU_NVML Return nvmlSystemGetCudaDriverVersion_v2(int* version) {
  return nvmlSystemGetCudaDriverVersion(version);
}

// Like the driver: a name that does not fit is cut.
MGPU_NVML Return nvmlSystemGetProcessName(unsigned pid, char* name, unsigned length) {
  return simgpu::with_state([&](const auto&) {
    if (!name || length == 0) return nvml::kInvalidArgument;
    const auto process = mgpu::gpu::read_process(static_cast<int>(pid));
    return process ? simgpu::copy_text(process->command.substr(0, length - 1), name, length)
                   : nvml::kNotFound;
  });
}
