#include "runner/checkpoint_actions.h"

#include <cstddef>

#include "runner/time_budget.h"

namespace mgpu::runner {
namespace {

constexpr Duration kUndoLimit{2'000'000};  // of each undone step after a failure

Result<void> toggle_all(CheckpointActions& actions, const std::vector<int>& pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (std::size_t i = 0; i < pids.size(); ++i) {
    const auto toggled = actions.toggle(pids[i], remaining());
    if (toggled) continue;
    for (std::size_t back = 0; back < i; ++back) (void)actions.toggle(pids[back], kUndoLimit);
    return toggled;
  }
  return {};
}

Result<void> lock_all(CheckpointActions& actions, const std::vector<int>& pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (const int pid : pids) {
    const auto state = actions.query_state(pid, remaining());
    if (!state) return std::unexpected(state.error());
    if (*state == "locked") continue;  // by an earlier attempt
    if (*state != "running")
      return fail(ErrorCode::unavailable, "process " + std::to_string(pid) + " is in state \"" + *state +
                                              "\", and only a running one can be parked");
    if (const auto locked = actions.run_action("lock", pid, remaining()); !locked) return locked;
  }
  return {};
}

Result<void> restore_all(CheckpointActions& actions, const std::vector<int>& pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (const int pid : pids) {
    const auto state = actions.query_state(pid, remaining());
    if (!state) return std::unexpected(state.error());
    if (*state == "running" || *state == "locked") continue;
    if (const auto restored = actions.run_action("restore", pid, remaining()); !restored) return restored;
  }
  for (const int pid : pids) {
    const auto state = actions.query_state(pid, remaining());
    if (state && *state == "running") continue;
    if (const auto unlocked = actions.run_action("unlock", pid, remaining()); !unlocked) return unlocked;
  }
  return {};
}

Result<void> save_all(CheckpointActions& actions, const std::vector<int>& pids, Duration limit) {
  const TimeBudget remaining(limit);
  for (const int pid : pids)
    if (const auto saved = actions.run_action("checkpoint", pid, remaining()); !saved) return saved;
  return {};
}

}  // namespace

Result<void> CheckpointActions::toggle(int pid, Duration) {
  return fail(ErrorCode::not_supported, "process " + std::to_string(pid) + " can't be toggled");
}

Result<void> park(CheckpointActions& actions, const std::vector<int>& pids, Duration limit) {
  const TimeBudget remaining(limit);
  if (actions.only_toggles()) return toggle_all(actions, pids, remaining());
  Result<void> done = lock_all(actions, pids, limit / 2);  // leaves time to undo the locks
  if (done) done = save_all(actions, pids, remaining());
  if (!done) roll_back(actions, pids);
  return done;
}

Result<void> resume(CheckpointActions& actions, const std::vector<int>& pids, Duration limit) {
  const TimeBudget remaining(limit);
  if (actions.only_toggles()) return toggle_all(actions, pids, remaining());
  return restore_all(actions, pids, remaining());
}

void roll_back(CheckpointActions& actions, const std::vector<int>& pids) {
  struct Step {
    std::string_view state, action;
  };
  for (const Step step : {Step{"checkpointed", "restore"}, Step{"locked", "unlock"}}) {
    for (const int pid : pids) {
      const auto state = actions.query_state(pid, kUndoLimit);
      if (state && *state == step.state) (void)actions.run_action(step.action, pid, kUndoLimit);
    }
  }
}

}  // namespace mgpu::runner
