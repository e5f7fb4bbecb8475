// `--simulated 24GiB`: a GPU that is a file, for as long as the daemon runs.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::daemon {

// Removes its file when destroyed.
class SimulatedGpu {
 public:
  // Makes the file and names it to this process and its children (env MGPU_SIMGPU). Errors: unavailable,
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
