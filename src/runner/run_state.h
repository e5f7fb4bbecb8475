// The state common to every kind of run: the options that it was started with and its exit, which is reported
// once. RunnerOf implements the functions of Runner that only read this state.
//
// Thread rule: the executor's one thread.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/result.h"
#include "base/time.h"
#include "runner/async_condition.h"
#include "runner/runner.h"

namespace mgpu::runner {

inline constexpr Duration kKillLimit{5'000'000};  // SIGKILL works at once, unless a driver call hangs
inline constexpr std::size_t kExitLogLines = 20;  // of ExitStatus::log

// `name` was sent SIGKILL and still exists after kKillLimit.
Error survived_kill_error(const std::string& name);

struct RunState {
  RunState(boost::asio::any_io_executor ex, RunOptions given)
      : executor(std::move(ex)), options(std::move(given)), changed(executor) {}
  RunState(const RunState&) = delete;
  RunState& operator=(const RunState&) = delete;
  virtual ~RunState() = default;

  // Stores how the run ended, wakes the waiters of `changed` and posts on_exit. REQUIRES: no exit yet.
  void record_exit(ExitStatus status, std::vector<std::string> log);
  // The runner is destroyed: on_exit is no longer called, waiters of `changed` are woken.
  virtual void close();

  boost::asio::any_io_executor executor;
  RunOptions options;
  bool owned = false;   // see Runner::is_owned
  bool closed = false;  // the runner is destroyed; requests in flight may still hold this state
  std::optional<ExitStatus> exit{};
  AsyncCondition changed;  // of the members above and of those that a derived state adds
};

// A runner that shares its state with the requests in flight, which may outlive it.
template <class State>  // derived from RunState
class RunnerOf : public Runner {
 public:
  explicit RunnerOf(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~RunnerOf() override { state_->close(); }
  RunnerOf(const RunnerOf&) = delete;
  RunnerOf& operator=(const RunnerOf&) = delete;

  bool is_running() const final { return !state_->exit; }
  const std::optional<ExitStatus>& exit_status() const final { return state_->exit; }
  bool is_owned() const final { return state_->owned; }

 protected:
  const std::shared_ptr<State>& state() const { return state_; }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace mgpu::runner
