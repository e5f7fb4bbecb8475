#include "runner/checkpoint_actions.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "runner/checkpoint_helper.h"

namespace mgpu::runner {
namespace {

constexpr Duration kLimit{1'000'000};

// Processes in memory. An action whose "ACTION PID" is in `failing` fails.
class FakeActions final : public CheckpointActions {
 public:
  std::map<int, std::string> states{};
  std::set<std::string> failing{};

  Result<std::string> query_state(int pid, Duration) override { return states.at(pid); }
  Result<void> run_action(std::string_view action, int pid, Duration) override {
    struct Change {
      std::string_view action, from, to;
    };
    for (const Change& change :
         {Change{"lock", "running", "locked"}, Change{"checkpoint", "locked", "checkpointed"},
          Change{"restore", "checkpointed", "locked"}, Change{"unlock", "locked", "running"}}) {
      if (change.action != action) continue;
      if (failing.contains(std::string(action) + " " + std::to_string(pid)) || states.at(pid) != change.from)
        return fail(ErrorCode::unavailable, std::string(action) + " refused");
      states[pid] = change.to;
    }
    return {};
  }
};

using States = std::map<int, std::string>;

TEST(CheckpointActions, ParkAndResumeChangeAllProcesses) {
  FakeActions actions;
  actions.states = {{1, "running"}, {2, "running"}};
  EXPECT_TRUE(park(actions, {1, 2}, kLimit));
  EXPECT_EQ(actions.states, (States{{1, "checkpointed"}, {2, "checkpointed"}}));
  EXPECT_TRUE(resume(actions, {1, 2}, kLimit));
  EXPECT_EQ(actions.states, (States{{1, "running"}, {2, "running"}}));
}

TEST(CheckpointActions, AFailedParkLeavesEveryProcessRunning) {
  for (const char* failing : {"lock 1", "lock 2", "checkpoint 1", "checkpoint 2"}) {
    FakeActions actions;
    actions.states = {{1, "running"}, {2, "running"}};
    actions.failing = {failing};
    EXPECT_FALSE(park(actions, {1, 2}, kLimit)) << failing;
    EXPECT_EQ(actions.states, (States{{1, "running"}, {2, "running"}})) << failing;
  }
}

TEST(CheckpointActions, ALockOfAnEarlierAttemptIsUsed) {
  FakeActions actions;
  actions.states = {{1, "locked"}};
  EXPECT_TRUE(park(actions, {1}, kLimit));
  EXPECT_EQ(actions.states[1], "checkpointed");
}

TEST(CheckpointActions, AFailedProcessIsNotParked) {
  FakeActions actions;
  actions.states = {{1, "failed"}};
  const auto done = park(actions, {1}, kLimit);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().detail.find("in state \"failed\""), std::string::npos) << done.error().detail;
}

TEST(CheckpointActions, RollBackUndoesWhateverWasDone) {
  FakeActions actions;
  actions.states = {{1, "checkpointed"}, {2, "locked"}, {3, "running"}, {4, "failed"}};
  roll_back(actions, {1, 2, 3, 4});
  EXPECT_EQ(actions.states, (States{{1, "running"}, {2, "running"}, {3, "running"}, {4, "failed"}}));
}

TEST(CheckpointHelper, RefusesWhatItCantRead) {
  const std::vector<std::string> no_words, no_pid{"park", "1000"}, bad_limit{"park", "-1", "7"},
      bad_pid{"park", "1000", "7x"};
  for (const auto& words : {no_words, no_pid, bad_limit, bad_pid}) EXPECT_EQ(run_checkpoint_helper(words), 2);
}

}  // namespace
}  // namespace mgpu::runner
