// The guarantees of a run whose processes are managed by another program: the same for a container engine and
// systemd.
#include <chrono>
#include <string>
#include <type_traits>

#include <gtest/gtest.h>

#include "runner/container_fixture.h"
#include "runner/systemd_unit_fixture.h"

namespace mgpu::runner {
namespace {

using std::chrono::seconds;

template <class Fixture>
class ExternalRunTest : public Fixture {};

struct FixtureName {
  template <class Fixture>
  static std::string GetName(int) {  // NOLINT(readability-identifier-naming): GoogleTest calls it
    return std::is_same_v<Fixture, ContainerTest> ? "container" : "systemd";
  }
};
using Fixtures = testing::Types<ContainerTest, SystemdUnitTest>;
TYPED_TEST_SUITE(ExternalRunTest, Fixtures, FixtureName);

TYPED_TEST(ExternalRunTest, StartsAndStops) {
  this->set_up_stopped();
  auto run = this->start();
  ASSERT_TRUE(run) << run.error().detail;
  EXPECT_TRUE(this->is_up());
  EXPECT_EQ(this->identity_of(**run), this->kIdentity);
  EXPECT_EQ((*run)->identity().pid, 77);
  EXPECT_TRUE((*run)->is_owned());
  EXPECT_TRUE(this->await_result((*run)->stop(seconds(5))));
  EXPECT_FALSE(this->is_up());
  EXPECT_FALSE((*run)->is_running());
  EXPECT_EQ(this->identity_of(**run), "");
}

TYPED_TEST(ExternalRunTest, OneThatRunsIsFoundAndIsNotOwned) {
  auto run = this->find();
  ASSERT_TRUE(run);
  EXPECT_EQ(*run, nullptr);
  this->set_up_running();
  run = this->find();
  ASSERT_TRUE(run && *run);
  EXPECT_FALSE((*run)->is_owned());
  run->reset();
  auto joined = this->start();
  ASSERT_TRUE(joined);
  EXPECT_FALSE((*joined)->is_owned());
  joined->reset();
  EXPECT_TRUE(this->is_up()) << "it stays when the daemon ends";
}

TYPED_TEST(ExternalRunTest, OneThatSurvivesSigkillIsAnError) {
  this->set_up_stopped();
  auto run = this->start();
  ASSERT_TRUE(run);
  this->ignore_kill();
  const auto killed = this->await_result((*run)->kill());
  ASSERT_FALSE(killed);
  EXPECT_EQ(killed.error().code, ErrorCode::eviction_failed);
  EXPECT_NE(killed.error().detail.find("still exists 5s after SIGKILL"), std::string::npos);
  EXPECT_TRUE((*run)->is_running());
}

TYPED_TEST(ExternalRunTest, CanNotBeStoppedWhileTheEngineIsAway) {
  this->set_up_stopped();
  auto run = this->start();
  ASSERT_TRUE(run);
  this->disconnect();
  const auto stopped = this->await_result((*run)->stop(seconds(1)));
  ASSERT_FALSE(stopped);
  EXPECT_EQ(stopped.error().code, ErrorCode::eviction_failed);
  EXPECT_TRUE((*run)->is_running());
  const auto other = this->start();
  ASSERT_FALSE(other);
  EXPECT_NE(other.error().detail.find("can't reach"), std::string::npos) << other.error().detail;
}

TYPED_TEST(ExternalRunTest, AnExitWhileTheEngineIsAwayIsReportedOnceItIsBack) {
  this->set_up_stopped();
  auto run = this->start();
  ASSERT_TRUE(run);
  this->disconnect();
  this->end_run(4);
  this->reconnect();
  ASSERT_TRUE(this->run_until([&] { return this->exit_status_.has_value(); }));
  EXPECT_EQ(this->exit_status_->code, 4);
}

}  // namespace
}  // namespace mgpu::runner
