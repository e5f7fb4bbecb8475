// `mgpu serve --simulated 24GiB`: simulated devices whose state is a temporary file.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::daemon {

// Removes the file when destroyed.
class SimulatedGpu {
 public:
  // Creates a device of each size. Sets MGPU_SIMGPU (the file) and MGPU_NVML_LIBRARY in the environment,
  // which child processes inherit: those that use the simulated GPU then find it. Errors: unavailable,
  // invalid_request.
  static Result<SimulatedGpu> create(const std::vector<Bytes>& devices);
  SimulatedGpu(SimulatedGpu&& other) noexcept;
  SimulatedGpu& operator=(SimulatedGpu&&) = delete;
  ~SimulatedGpu();

  const std::string& library() const { return library_; }

 private:
  SimulatedGpu(std::string folder, std::string library);
  std::string folder_;
  std::string library_;
};

}  // namespace mgpu::daemon
