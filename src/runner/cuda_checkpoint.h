// Moves the device memory of CUDA processes to host memory and back with NVIDIA's utility cuda-checkpoint
// (driver 550 and later), for any application. Parked processes keep running, but block in their next CUDA
// call.
//
// Of several processes of one application, all are locked before the first is checkpointed, and all restored
// before the first is unlocked: otherwise a running one could wait for a blocked one. The utility handles one
// process per call and needs the permission to trace it (usually root).
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

class CudaCheckpoint {
 public:
  explicit CudaCheckpoint(std::string utility) : utility_(std::move(utility)) {}  // a path

  // On success their device memory is in host memory. On failure the steps are undone as far as possible, so
  // that the processes continue. Error: eviction_failed, with the utility's output.
  boost::asio::awaitable<Result<void>> park_processes(std::vector<int> pids, Duration limit);

  // On success they can compute again. Error: load_failed; then the processes may have ended or be blocked
  // forever, and should be ended.
  boost::asio::awaitable<Result<void>> resume_processes(std::vector<int> pids, Duration limit);

 private:
  using AsyncResult = boost::asio::awaitable<Result<void>>;
  using AsyncOutput = boost::asio::awaitable<Result<std::string>>;

  boost::asio::awaitable<bool> has_only_toggle(Duration limit);
  AsyncOutput run_utility(std::vector<std::string> options, int pid, Duration limit);
  AsyncOutput query_state(int pid, Duration limit);
  AsyncResult toggle(int pid, Duration limit);
  AsyncResult run_action(std::string_view action, int pid, Duration limit);  // `action` is a literal
  AsyncResult toggle_all(std::vector<int> pids, Duration limit);
  AsyncResult lock_all(std::vector<int> pids, Duration limit);
  AsyncResult save_all(std::vector<int> pids, Duration limit);
  AsyncResult restore_all(std::vector<int> pids, Duration limit);
  boost::asio::awaitable<void> roll_back(std::vector<int> pids);

  std::string utility_;
  int toggle_only_ = -1;  // 1: the utility has only --toggle, 0: also --action; -1: not known yet
};

}  // namespace mgpu::runner
