#include "runner/cuda_checkpoint.h"

#include <algorithm>
#include <utility>

#include "base/sanitize.h"
#include "runner/command.h"
#include "runner/time_budget.h"

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

constexpr Duration kUndoLimit{2'000'000};  // of each undone step after a failure
constexpr Duration kLockGrace{500'000};    // beyond the utility's own limit for a lock

std::string first_line(std::string text) {
  text.resize(std::min(text.find('\n'), text.size()));
  return sanitize_text(text);
}

std::unexpected<Error> with_code(ErrorCode code, const Error& error) { return fail(code, error.detail); }

}  // namespace

// The first line of its output. Error: unavailable.
CudaCheckpoint::AsyncOutput CudaCheckpoint::run_utility(std::vector<std::string> options, int pid,
                                                        Duration limit) {
  std::vector<std::string> words{utility_};
  words.insert(words.end(), options.begin(), options.end());
  words.insert(words.end(), {"--pid", std::to_string(pid)});
  const auto ran = co_await run_command(std::move(words), limit);
  if (!ran) co_return std::unexpected(ran.error());
  std::string output = first_line(ran->output);
  if (ran->exit_code != 0) {
    std::string command;
    for (const std::string& option : options) command += option + " ";
    co_return fail(ErrorCode::unavailable,
                   "cuda-checkpoint " + command + "of process " + std::to_string(pid) +
                       " failed: " + (output.empty() ? "it printed nothing" : output));
  }
  co_return output;
}

CudaCheckpoint::AsyncOutput CudaCheckpoint::query_state(int pid, Duration limit) {
  std::vector<std::string> options{"--get-state"};
  co_return co_await run_utility(std::move(options), pid, limit);
}

CudaCheckpoint::AsyncResult CudaCheckpoint::toggle(int pid, Duration limit) {
  std::vector<std::string> options{"--toggle"};
  const auto output = co_await run_utility(std::move(options), pid, limit);
  if (!output) co_return std::unexpected(output.error());
  co_return Result<void>{};
}

CudaCheckpoint::AsyncResult CudaCheckpoint::run_action(std::string_view action, int pid, Duration limit) {
  std::vector<std::string> options{"--action", std::string(action)};
  if (action == "lock") {
    options.insert(options.end(), {"--timeout", std::to_string(limit.count() / 1000)});
    limit += kLockGrace;
  }
  const auto output = co_await run_utility(std::move(options), pid, limit);
  if (!output) co_return std::unexpected(output.error());
  co_return Result<void>{};
}

// The utility of driver 550 has neither --get-state nor --action.
asio::awaitable<bool> CudaCheckpoint::has_only_toggle(Duration limit) {
  if (toggle_only_ < 0) {
    std::vector<std::string> words{utility_, "--help"};
    const auto ran = co_await run_command(std::move(words), limit);
    if (ran) toggle_only_ = ran->output.find("--action") == std::string::npos ? 1 : 0;
  }
  co_return toggle_only_ == 1;
}

CudaCheckpoint::AsyncResult CudaCheckpoint::toggle_all(std::vector<int> pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (std::size_t i = 0; i < pids.size(); ++i) {
    const Duration left = remaining();
    const auto toggled = co_await toggle(pids[i], left);
    if (toggled) continue;
    for (std::size_t back = 0; back < i; ++back) {
      const Duration undo = kUndoLimit;
      co_await toggle(pids[back], undo);
    }
    co_return std::unexpected(toggled.error());
  }
  co_return Result<void>{};
}

CudaCheckpoint::AsyncResult CudaCheckpoint::lock_all(std::vector<int> pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (const int pid : pids) {
    const Duration query_limit = remaining();
    const auto state = co_await query_state(pid, query_limit);
    if (!state) co_return std::unexpected(state.error());
    if (*state == "locked") continue;  // by an earlier attempt
    if (*state != "running")
      co_return fail(ErrorCode::unavailable, "process " + std::to_string(pid) + " is in state \"" + *state +
                                                 "\", and only a running one can be parked");
    const Duration left = remaining();
    const auto locked = co_await run_action("lock", pid, left);
    if (!locked) co_return locked;
  }
  co_return Result<void>{};
}

CudaCheckpoint::AsyncResult CudaCheckpoint::save_all(std::vector<int> pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (const int pid : pids) {
    const Duration left = remaining();
    const auto saved = co_await run_action("checkpoint", pid, left);
    if (!saved) co_return saved;
  }
  co_return Result<void>{};
}

CudaCheckpoint::AsyncResult CudaCheckpoint::restore_all(std::vector<int> pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (const int pid : pids) {
    const Duration query_limit = remaining();
    const auto state = co_await query_state(pid, query_limit);
    if (!state) co_return std::unexpected(state.error());
    if (*state == "running" || *state == "locked") continue;
    const Duration left = remaining();
    const auto restored = co_await run_action("restore", pid, left);
    if (!restored) co_return restored;
  }
  for (const int pid : pids) {
    const Duration query_limit = remaining();
    const auto state = co_await query_state(pid, query_limit);
    if (state && *state == "running") continue;
    const Duration left = remaining();
    const auto unlocked = co_await run_action("unlock", pid, left);
    if (!unlocked) co_return unlocked;
  }
  co_return Result<void>{};
}

// After a failure: each process separately, so that as many as possible continue.
asio::awaitable<void> CudaCheckpoint::roll_back(std::vector<int> pids) {
  struct Step {
    std::string_view state, action;
  };
  for (const Step step : {Step{"checkpointed", "restore"}, Step{"locked", "unlock"}}) {
    for (const int pid : pids) {
      const Duration undo = kUndoLimit;
      const auto state = co_await query_state(pid, undo);
      if (state && *state == step.state) co_await run_action(step.action, pid, undo);
    }
  }
}

CudaCheckpoint::AsyncResult CudaCheckpoint::park_processes(std::vector<int> pids, Duration limit) {
  if (pids.empty())
    co_return fail(ErrorCode::eviction_failed,
                   "nothing to park: the driver lists no process of it with device memory");
  const TimeBudget remaining(limit);
  const bool toggle_only = co_await has_only_toggle(limit);
  Result<void> done{};
  if (toggle_only) {
    const Duration left = remaining();
    done = co_await toggle_all(pids, left);
  } else {
    const Duration half = limit / 2;  // leaves time to undo the locks
    done = co_await lock_all(pids, half);
    const Duration left = remaining();
    if (done) done = co_await save_all(pids, left);
    if (!done) co_await roll_back(pids);
  }
  if (!done) co_return with_code(ErrorCode::eviction_failed, done.error());
  co_return done;
}

CudaCheckpoint::AsyncResult CudaCheckpoint::resume_processes(std::vector<int> pids, Duration limit) {
  const TimeBudget remaining(limit);
  const bool toggle_only = co_await has_only_toggle(limit);
  const Duration left = remaining();
  Result<void> done{};
  if (toggle_only)
    done = co_await toggle_all(pids, left);
  else
    done = co_await restore_all(pids, left);
  if (!done) co_return with_code(ErrorCode::load_failed, done.error());
  co_return done;
}

}  // namespace mgpu::runner
