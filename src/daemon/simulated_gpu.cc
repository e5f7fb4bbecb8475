#include "daemon/simulated_gpu.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "simgpu/state_file.h"

namespace mgpu::daemon {
namespace {

namespace fs = std::filesystem;

// In the executable's folder (a build) or in ../lib (an installation).
Result<std::string> find_library() {
  std::error_code failed;
  const fs::path here = fs::read_symlink("/proc/self/exe", failed).parent_path();
  const fs::path beside = here / "libmgpu-simgpu.so";
  const fs::path installed = here.parent_path() / "lib" / "libmgpu-simgpu.so";
  for (const fs::path& path : {beside, installed})
    if (fs::exists(path, failed)) return path.string();
  return fail(ErrorCode::unavailable, "--simulated needs libmgpu-simgpu.so, which is neither " +
                                          beside.string() + " nor " + installed.string());
}

}  // namespace

SimulatedGpu::SimulatedGpu(std::string folder, std::string library)
    : folder_(std::move(folder)), library_(std::move(library)) {}
SimulatedGpu::SimulatedGpu(SimulatedGpu&& other) noexcept
    : folder_(std::exchange(other.folder_, {})), library_(std::move(other.library_)) {}

SimulatedGpu::~SimulatedGpu() {
  std::error_code ignored;
  if (!folder_.empty()) fs::remove_all(folder_, ignored);
}

Result<SimulatedGpu> SimulatedGpu::create(const std::vector<Bytes>& devices) {
  auto library = find_library();
  if (!library) return std::unexpected(library.error());
  std::string folder = (fs::temp_directory_path() / "mgpu-simulated-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr)
    return fail(ErrorCode::unavailable,
                "--simulated can't create the folder " + folder + ": " + std::strerror(errno));
  SimulatedGpu gpu(folder, std::move(*library));
  std::vector<simgpu::DeviceSpec> specs;
  for (const Bytes total : devices) specs.push_back({.total = static_cast<std::uint64_t>(total.count)});
  const std::string file = folder + "/gpu";
  if (auto created = simgpu::create_state_file(file, specs); !created)
    return std::unexpected(created.error());
  ::setenv("MGPU_SIMGPU", file.c_str(), 1);
  ::setenv("MGPU_NVML_LIBRARY", gpu.library().c_str(), 1);
  return gpu;
}

}  // namespace mgpu::daemon
