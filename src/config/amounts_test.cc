#include "config/amounts.h"

#include <limits>
#include <utility>

#include <gtest/gtest.h>

namespace mgpu::config {
namespace {

struct Refused {
  const char* text;
  const char* message;  // a part of it
};

template <class Reader>
void expect_refused(Reader reader, const std::vector<Refused>& rows) {
  for (const auto& [text, message] : rows) {
    const auto reading = reader(text);
    ASSERT_FALSE(reading) << text;
    EXPECT_NE(reading.error().find(message), std::string::npos) << text << " " << reading.error();
  }
}

TEST(ReadWholeNumber, TakesDecimalDigits) {
  EXPECT_EQ(read_whole_number("0"), 0);
  EXPECT_EQ(read_whole_number("1000"), 1000);
  EXPECT_EQ(read_whole_number("+5"), 5);
  EXPECT_EQ(read_whole_number("-1"), -1);
  EXPECT_EQ(read_whole_number("9223372036854775807"), std::numeric_limits<std::int64_t>::max());
}

TEST(ReadWholeNumber, RefusesOtherNotationsAndSaysWhatToWrite) {
  expect_refused(read_whole_number, {{"1_000", "write 1000"},
                                     {"1,000", "write 1000"},
                                     {"1 000", "write 1000"},
                                     {"0x10", "write 16"},
                                     {"010", "octal: write 10"},
                                     {"-08", "write 8"},
                                     {"1e3", "write 1000"},
                                     {"5.0", "write 5"},
                                     {"5.5", "is not a whole number in decimal digits"},
                                     {".5", "is not a whole number"},
                                     {"nan", "is not a whole number"},
                                     {".inf", "is not a whole number"},
                                     {"0o10", "is not a whole number"},
                                     {"five", "is not a whole number"},
                                     {"", "is not a whole number"},
                                     {"-", "is not a whole number"},
                                     {"5%", "is not a whole number"},
                                     {"99999999999999999999", "out of range"}});
}

TEST(ReadBytes, TakesAmountsWithAUnit) {
  EXPECT_EQ(read_bytes("14GiB"), kGiB * 14);
  EXPECT_EQ(read_bytes("5 GB"), Bytes{5'000'000'000});
  EXPECT_EQ(read_bytes(".5GiB"), kMiB * 512);
  EXPECT_EQ(read_bytes("5B"), Bytes{5});
  EXPECT_EQ(read_bytes("0"), Bytes{0});
  EXPECT_EQ(read_bytes("8589934592"), kGiB * 8) << "a count that is surely one of bytes";
}

TEST(ReadBytes, RefusesWhatIsNoAmountAndSaysWhatToWrite) {
  expect_refused(read_bytes, {{"5", "has no unit: write 5GiB or 5MiB (5B if bytes are meant)"},
                              {"14336", "has no unit"},
                              {"5g", "write 5GiB"},
                              {"5 gib", "write 5GiB"},
                              {"5Gi", "write 5GiB"},
                              {"5gb", "write 5GB"},
                              {"512 megs", "write 512MiB"},
                              {"5,5GiB", "write 5.5GiB"},
                              {"80%", "a share of the device is not supported"},
                              {"-5GiB", "never negative"},
                              {"1e3", "is not an amount of memory"},
                              {"0x10", "is not an amount of memory"},
                              {"nan", "is not an amount of memory"},
                              {"inf", "is not an amount of memory"},
                              {"", "is not an amount of memory"},
                              {"14 apples", "write 14GiB or 512MiB"},
                              {"9999999TiB", "memory is at most 1024TiB"}});
}

TEST(ReadDuration, TakesUnitsFromLargeToSmall) {
  EXPECT_EQ(read_duration("1h30m"), Duration{5'400'000'000});
  EXPECT_EQ(read_duration("1.5s"), Duration{1'500'000});
  EXPECT_EQ(read_duration("0"), Duration{0});
  EXPECT_EQ(read_duration("1d2h3m4s5ms6us"), Duration{93'784'005'006});
}

TEST(ReadDuration, RefusesWhatIsNoDurationAndSaysWhatToWrite) {
  expect_refused(read_duration, {{"5", "it has no unit, write 5s, 5m or 5h"},
                                 {"5 min", "write 5m"},
                                 {"5 Minutes", "write 5m"},
                                 {"30sec", "write 30s"},
                                 {"1h 30m", "write 1h30m"},
                                 {"1,5h", "write 1.5h"},
                                 {"30S", "write 30s"},
                                 {"-1", "never negative; write 0"},
                                 {"-5s", "never negative"},
                                 {"never", "write 0 where that means no limit"},
                                 {".inf", "write 0 where that means no limit"},
                                 {"30m1h", "the largest first"},
                                 {"1m1m", "each unit once"},
                                 {"1h30", "is not a duration"},
                                 {"1:30", "is not a duration"},
                                 {"s", "is not a duration"},
                                 {"", "is not a duration"},
                                 {"99999999h", "a duration is at most 366d"}});
}

TEST(ReadBool, TakesTheWordsOfYaml) {
  for (const char* yes : {"true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON"})
    EXPECT_EQ(read_bool(yes), true) << yes;
  for (const char* no : {"false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF"})
    EXPECT_EQ(read_bool(no), false) << no;
  for (const char* text : {"1", "0", "y", "n", "tRUE", "maybe", ""}) EXPECT_FALSE(read_bool(text)) << text;
}

}  // namespace
}  // namespace mgpu::config
