#include "base/time.h"

#include <limits>

#include <gtest/gtest.h>

namespace mgpu {
namespace {

using namespace std::chrono_literals;

TEST(ParseDuration, AcceptsUnitsAndTheirCombinations) {
  EXPECT_EQ(parse_duration("250ms"), Duration{250ms});
  EXPECT_EQ(parse_duration("1h30m"), Duration{90min});
  EXPECT_EQ(parse_duration("1.5s"), Duration{1500ms});
  EXPECT_EQ(parse_duration("0"), Duration{0});
}

TEST(ParseDuration, RejectsMissingAndUnknownUnits) {
  for (const char* text : {"", "30", "s", "5 parsecs", "-3s"}) EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(ParseDuration, RejectsDurationsOutOfRangeAndNamesTheMaximum) {
  EXPECT_EQ(parse_duration("366d"), kLongestDuration);
  for (const char* text :
       {"366d1us", "99999999h", "9223372036854775807us", "1000000000000000000000000d", "366d366d"}) {
    const auto parsed = parse_duration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_request);
    EXPECT_NE(parsed.error().detail.find("at most 366d"), std::string::npos) << parsed.error().detail;
  }
}

TEST(DurationFromMs, RejectsNumbersOutOfRange) {
  EXPECT_EQ(duration_from_ms(1500), Duration{1500ms});
  EXPECT_EQ(duration_from_ms(to_ms(kLongestDuration)), kLongestDuration);
  for (const double ms : {-1.0, 1e300, std::numeric_limits<double>::infinity(),
                          std::numeric_limits<double>::quiet_NaN(), to_ms(kLongestDuration) + 1})
    EXPECT_FALSE(duration_from_ms(ms)) << ms;
}

TEST(DurationToString, CanBeParsedBack) {
  for (const Duration d : {Duration{90min}, Duration{1500ms}, Duration{7us}})
    EXPECT_EQ(parse_duration(to_string(d)), d);
  EXPECT_EQ(to_string(Duration{90min}), "1h30m");
  EXPECT_EQ(to_string(Duration{0}), "0s");
}

TEST(Rfc3339, IsUtcWithMilliseconds) {
  const std::chrono::system_clock::time_point epoch{};
  EXPECT_EQ(to_rfc3339(epoch + 1500ms), "1970-01-01T00:00:01.500Z");
}

}  // namespace
}  // namespace mgpu
