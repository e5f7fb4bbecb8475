// Moves the device memory of CUDA processes to host memory and back, for any application: by the driver's
// checkpoint calls (driver 570 and later), or by NVIDIA's utility cuda-checkpoint (driver 550 and later)
// where the driver lacks them. Parked processes keep running, but block in their next CUDA call.
//
// Each call runs `mgpu cuda-checkpoint` (checkpoint_helper.h), a process that is killed where the driver does
// not answer in time. Parking another process needs the permission to trace it (usually root).
//
// Thread rule: the executor's one thread. At most one call at a time for the same processes.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "base/time.h"

namespace mgpu::runner {

// Whether the driver's library has the checkpoint calls; it is loaded by a helper process, for which the
// caller's thread waits. Error: not_supported, with the reason.
Result<void> find_driver_checkpoint();

class CudaCheckpoint {
 public:
  // `utility`: the path of NVIDIA's utility; empty: the driver's own calls. `program`: an executable with the
  // command `cuda-checkpoint`, by default this one.
  explicit CudaCheckpoint(std::string utility, std::string program = "/proc/self/exe")
      : utility_(std::move(utility)), program_(std::move(program)) {}

  // On success their device memory is in host memory. On failure the steps are undone as far as possible, so
  // that the processes continue. Error: eviction_failed, with the driver's or the utility's reason.
  boost::asio::awaitable<Result<void>> park_processes(std::vector<int> pids, Duration limit);

  // REQUIRES: the device has room for their memory. A driver whose restore failed for lack of memory never
  // restores that process again. On success they can compute again. Error: load_failed; then the processes
  // may have ended or be blocked forever, and should be ended.
  boost::asio::awaitable<Result<void>> resume_processes(std::vector<int> pids, Duration limit);

 private:
  // Error: unavailable, with the reason; `was_killed` says whether the helper did not end in time.
  boost::asio::awaitable<Result<void>> run_helper(std::string_view command, std::vector<int> pids,
                                                  Duration limit, bool& was_killed);

  std::string utility_;
  std::string program_;
};

}  // namespace mgpu::runner
