#include "base/bytes.h"

#include <limits>

#include <gtest/gtest.h>

namespace mgpu {
namespace {

TEST(ParseBytes, AcceptsBinaryAndDecimalUnits) {
  EXPECT_EQ(parse_bytes("14GiB"), kGiB * 14);
  EXPECT_EQ(parse_bytes("512 MiB"), kMiB * 512);
  EXPECT_EQ(parse_bytes("1.5G"), kMiB * 1536);
  EXPECT_EQ(parse_bytes("8GB"), Bytes{8'000'000'000});
  EXPECT_EQ(parse_bytes("4096"), Bytes{4096});
}

TEST(ParseBytes, RejectsInvalidTextAndQuotesIt) {
  for (const char* text : {"", "GiB", "-1GiB", "14 gigs", "1..5G", "99999999999TiB"}) {
    const auto parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::invalid_request);
    EXPECT_NE(parsed.error().detail.find(text), std::string::npos);
  }
}

TEST(ParseBytes, RejectsAmountsOutOfRangeAndNamesTheMaximum) {
  EXPECT_EQ(parse_bytes("1024TiB"), kLargestBytes);
  for (const char* text : {"1025TiB", "99999999TiB", "1125899906842625"}) {
    const auto parsed = parse_bytes(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_NE(parsed.error().detail.find("at most 1024TiB"), std::string::npos) << parsed.error().detail;
  }
}

TEST(BytesFromNumber, RejectsNumbersOutOfRange) {
  EXPECT_EQ(bytes_from_number(4096), kKiB * 4);
  for (const double count :
       {-1.0, 1e300, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()})
    EXPECT_FALSE(bytes_from_number(count)) << count;
}

TEST(BytesToString, IsRoundedForPeopleAndExactForFiles) {
  EXPECT_EQ(to_string(kGiB * 14), "14.0 GiB");
  EXPECT_EQ(to_string(kMiB * -1536), "-1.5 GiB");
  EXPECT_EQ(to_exact_string(kMiB * 1536), "1536MiB");
  EXPECT_EQ(to_exact_string(Bytes{123}), "123");
  EXPECT_EQ(to_exact_string(Bytes{0}), "0");
}

}  // namespace
}  // namespace mgpu
