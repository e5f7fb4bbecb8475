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

class Checkpoint {
 public:
  explicit Checkpoint(std::string utility) : utility_(std::move(utility)) {}  // a path

  // When it returns, their memory is in the host's. What failed half-way is undone as far as possible, so
  // that they run on. Error: eviction_failed, with what the utility said.
  boost::asio::awaitable<Result<void>> put_aside(std::vector<int> pids, Duration limit);

  // When it returns they compute again. Error: load_failed; the processes may be dead, or hang for ever, and
  // are best ended.
  boost::asio::awaitable<Result<void>> bring_back(std::vector<int> pids, Duration limit);

 private:
  using Ended = boost::asio::awaitable<Result<void>>;
  using Said = boost::asio::awaitable<Result<std::string>>;

  boost::asio::awaitable<bool> only_toggles(Duration limit);
  Said ask(std::vector<std::string> options, int pid, Duration limit);
  Said state_of(int pid, Duration limit);
  Ended toggle(int pid, Duration limit);
  Ended act(std::string_view action, int pid, Duration limit);  // `action` is a literal
  Ended toggle_all(std::vector<int> pids, Duration limit);
  Ended lock_all(std::vector<int> pids, Duration limit);
  Ended save_all(std::vector<int> pids, Duration limit);
  Ended restore_all(std::vector<int> pids, Duration limit);
  boost::asio::awaitable<void> let_run_on(std::vector<int> pids);

  std::string utility_;
  int toggles_ = -1;  // whether it knows no more than --toggle; -1: not asked yet
};

}  // namespace mgpu::runner
