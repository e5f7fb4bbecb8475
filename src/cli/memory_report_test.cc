#include "cli/memory_report.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace mgpu::cli {
namespace {

using client::Json;

// A device of 24 GiB: the driver reserves 1; chat holds 8 of its committed 10; 4 are committed to voice,
// which holds none; a foreign game holds 3.
Json sample_status(std::int64_t reserve = kGiB.count, std::int64_t headroom = (kGiB * 5).count) {
  const Json chat{{"consumer", "chat"},
                  {"committed_bytes", (kGiB * 10).count},
                  {"measured_bytes", (kGiB * 8).count},
                  {"expected_bytes", (kGiB * 10).count},
                  {"parked_bytes", 0}};
  const Json voice{{"consumer", "voice"},
                   {"committed_bytes", (kGiB * 4).count},
                   {"measured_bytes", 0},
                   {"expected_bytes", (kGiB * 4).count},
                   {"parked_bytes", (kGiB * 2).count}};
  const Json memory{{"total_bytes", (kGiB * 23).count},
                    {"driver_reserved_bytes", kGiB.count},
                    {"reserve_bytes", reserve},
                    {"foreign_bytes", (kGiB * 3).count},
                    {"headroom_bytes", headroom},
                    {"by_consumer", {chat, voice}},
                    {"attribution", "by_process"},
                    {"reading_age_ms", 300},
                    {"foreign_processes", {{{"pid", 77}, {"command", "game"}, {"bytes", (kGiB * 3).count}}}}};
  return {{"devices", {{{"id", "gpu0"}, {"name", "RTX"}, {"memory", memory}}}}};
}

std::int64_t sum_of_parts(const Json& device) {
  std::int64_t sum = 0;
  for (const Json& part : device.at("parts")) sum += part.at("bytes").get<std::int64_t>();
  return sum;
}

TEST(MemoryReport, ThePartsAddUpToTheDriversTotal) {
  const Json device = memory_report(sample_status()).at("devices").at(0);
  EXPECT_EQ(device.at("total_bytes"), (kGiB * 24).count);
  EXPECT_EQ(sum_of_parts(device), (kGiB * 24).count);
}

TEST(MemoryReport, AlsoWhereMoreIsInUseThanThereShouldBe) {
  const Json device = memory_report(sample_status((kGiB * 8).count, (kGiB * -2).count)).at("devices").at(0);
  EXPECT_EQ(sum_of_parts(device), (kGiB * 24).count);
  EXPECT_NE(format_memory({{"devices", {device}}}).find("[aaa"), std::string::npos);
}

TEST(MemoryReport, TheBarShowsMemoryByOwnerAndWhatIsOnlyCommitted) {
  const std::string text = format_memory(memory_report(sample_status()));
  const std::string bar = text.substr(text.find('['), 66);
  EXPECT_EQ(bar, "[aaaaaaaaaaaaaaaaaaaaaAAAAAABBBBBBBBBB%%%%%%%%===.............###]") << text;
  EXPECT_NE(text.find("pid 77 3.0 GiB: game"), std::string::npos) << text;
  EXPECT_NE(text.find("read 300 ms ago"), std::string::npos) << text;
  EXPECT_EQ(text.find("computed from totals"), std::string::npos);
}

TEST(MemoryReport, SaysWhereFiguresAreComputedAndWhereNothingIsKnownYet) {
  Json by_totals = sample_status();
  by_totals["devices"][0]["memory"]["attribution"] = "by_totals";
  EXPECT_NE(format_memory(memory_report(by_totals)).find("computed from totals"), std::string::npos);
  const Json unread{{"devices", {{{"id", "gpu0"}}}}};
  EXPECT_NE(format_memory(memory_report(unread)).find("has not been read yet"), std::string::npos);
}

}  // namespace
}  // namespace mgpu::cli
