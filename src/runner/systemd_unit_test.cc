// Uses a fake systemd on a private bus. Tests common to containers are in external_run_test.cc.
#include "runner/systemd_unit.h"

#include <chrono>
#include <csignal>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "runner/systemd_unit_fixture.h"

namespace mgpu::runner {
namespace {

using std::chrono::seconds;

TEST_F(SystemdUnitTest, SaysWhyItDidNotStart) {
  fake_.start_result = "failed";
  const auto failed = start();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::load_failed);
  EXPECT_EQ(failed.error().detail,
            "chat.service: its start ended with \"failed\"; its process exited with code 3");
  const auto missing = start("none.service");
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().detail, "none.service: there is no such unit");
  fake_.denied_method = "StartUnit";
  const auto forbidden = start();
  ASSERT_FALSE(forbidden);
  EXPECT_EQ(forbidden.error().detail, "chat.service: StartUnit: Interactive authentication required.");
}

TEST_F(SystemdUnitTest, AJobThatTakesTooLongIsUndone) {
  fake_.start_result = "";
  fake_.active_state = "activating";
  const auto run = start("chat.service", std::chrono::milliseconds(50));
  ASSERT_FALSE(run);
  EXPECT_EQ(run.error().detail, "chat.service: its job takes longer than 50ms");
  EXPECT_EQ(fake_.received_calls, (std::vector<std::string>{"StartUnit", "StopUnit"}));
}

TEST_F(SystemdUnitTest, LeavingActiveIsNoticedAtOnce) {
  auto run = start();
  ASSERT_TRUE(run);
  fake_.crash(SIGSEGV);
  ASSERT_TRUE(run_until([&] { return exit_status_.has_value(); }));
  EXPECT_EQ(exit_status_->signal, SIGSEGV);
  EXPECT_FALSE((*run)->is_running());
  EXPECT_TRUE(await_result((*run)->kill())) << "nothing is left to kill";
  EXPECT_EQ(fake_.received_calls, std::vector<std::string>{"StartUnit"});
}

TEST_F(SystemdUnitTest, AStopByAnotherProgramIsNoticedBeforeItIsDone) {
  auto run = start();
  ASSERT_TRUE(run);
  fake_.change_state("deactivating", 77);
  EXPECT_TRUE(run_until([&] { return exit_status_.has_value(); }));
}

TEST_F(SystemdUnitTest, KillsWhatIgnoresStop) {
  auto run = start();
  ASSERT_TRUE(run);
  fake_.obeys_stop = false;
  EXPECT_TRUE(await_result((*run)->stop(std::chrono::milliseconds(50))));
  EXPECT_EQ((*run)->exit_status()->signal, SIGKILL);
}

TEST_F(SystemdUnitTest, ABusThatIsLostRepeatedlyIsOpenedOnce) {
  const auto run_for = [&](seconds length) {
    const auto until = std::chrono::steady_clock::now() + length;
    ASSERT_TRUE(run_until([&] { return std::chrono::steady_clock::now() >= until; }));
  };
  auto run = start();
  ASSERT_TRUE(run);
  for (int time = 0; time < 2; ++time) {
    close_bus();
    open_empty_bus();
    run_for(seconds(2));  // reconnect() runs and finds no systemd
  }
  close_bus();
  fake_.subscriptions = 0;
  open_bus();
  ASSERT_TRUE(run_until([&] { return fake_.subscriptions > 0; }));
  run_for(seconds(3));
  EXPECT_EQ(fake_.subscriptions, 1);
  fake_.crash(SIGKILL);
  EXPECT_TRUE(run_until([&] { return exit_status_.has_value(); }));
}

}  // namespace
}  // namespace mgpu::runner
