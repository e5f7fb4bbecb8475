// Device memory of CUDA processes put aside into host memory by NVIDIA's utility cuda-checkpoint (driver 550
// and later), whatever application they run. The processes live on meanwhile, but hang in their next CUDA
// call.
//
// Several processes of one application are locked all before the first of them is checkpointed, and restored
// all before the first is unlocked: between them they would wait for each other. The utility takes one
// process a call and wants the rights to trace it (root, mostly).
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

  // When it returns, their memory is in the host's. What failed half-way is undone as far as possible, so
  // that they run on. Error: eviction_failed, with what the utility said.
  boost::asio::awaitable<Result<void>> park_processes(std::vector<int> pids, Duration limit);

  // When it returns they compute again. Error: load_failed; the processes may be dead, or hang for ever, and
  // are best ended.
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
  int toggle_only_ = -1;  // whether it knows no more than --toggle; -1: not asked yet
};

}  // namespace mgpu::runner
