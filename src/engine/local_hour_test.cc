#include "engine/local_hour.h"

#include <cstdlib>
#include <ctime>

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

class LocalHours : public testing::Test {
 protected:
  void set_timezone(const char* zone) {
    ::setenv("TZ", zone, 1);
    ::tzset();
  }
  void TearDown() override {
    ::unsetenv("TZ");
    ::tzset();
  }
  // 1 January 1970, 10:20:30 UTC.
  const std::chrono::system_clock::time_point morning_{std::chrono::seconds(10 * 3600 + 20 * 60 + 30)};
};

TEST_F(LocalHours, AreThoseOfTheHouse) {
  set_timezone("UTC0");
  EXPECT_EQ(local_hour(morning_).hour, 10);
  EXPECT_EQ(local_hour(morning_).until_next, std::chrono::seconds(39 * 60 + 30));
  set_timezone("XXX-2");
  EXPECT_EQ(local_hour(morning_).hour, 12);
}

TEST_F(LocalHours, BeginWithTheLocalMinuteWhereTheZoneIsOffByHalfAnHour) {
  set_timezone("XXX-5:30");
  EXPECT_EQ(local_hour(morning_).hour, 15);
  EXPECT_EQ(local_hour(morning_).until_next, std::chrono::seconds(9 * 60 + 30));
}

TEST_F(LocalHours, LeaveAWholeHourAtTheirBeginning) {
  set_timezone("UTC0");
  EXPECT_EQ(local_hour(std::chrono::system_clock::time_point{}).until_next, std::chrono::hours(1));
}

}  // namespace
}  // namespace mgpu::engine
