#include "cli/text_format.h"

#include <gtest/gtest.h>

#include "cli/answer_format.h"

namespace mgpu::cli {
namespace {

TEST(TextFormat, OrdinalsAreEnglish) {
  std::string all;
  for (const int n : {1, 2, 3, 4, 11, 12, 13, 21, 112, 123})
    all += ordinal(static_cast<std::uint64_t>(n)) + " ";
  EXPECT_EQ(all, "1st 2nd 3rd 4th 11th 12th 13th 21st 112th 123rd ");
}

TEST(TextFormat, DurationsHaveTheUnitThatMatters) {
  EXPECT_EQ(format_duration(0), "0 ms");
  EXPECT_EQ(format_duration(0.3), "<1 ms");
  EXPECT_EQ(format_duration(999.9), "999 ms");
  EXPECT_EQ(format_duration(1250), "1.2 s");
  EXPECT_EQ(format_duration(59'999), "59.9 s");
  EXPECT_EQ(format_duration(90'000), "1 min 30 s");
  EXPECT_EQ(format_duration(7'260'000), "2 h 1 min");
}

TEST(TextFormat, ColumnsStandBelowEachOther) {
  EXPECT_EQ(format_table({{"NAME", "STATE"}, {"ü", "warm"}, {"chatter", ""}}),
            "NAME     STATE\nü        warm\nchatter\n");
}

TEST(AnswerFormat, AStatusOfAnotherVersionIsShownAsFarAsItGoes) {
  EXPECT_NE(format_status(client::Json::parse(R"({"queue_depth": 3, "news": 1})")).find("3 waiting"),
            std::string::npos);
  EXPECT_EQ(format_line(client::Json::array()), "no ticket waits or runs\n");
}

TEST(AnswerFormat, AStatusShowsMemoryByOwner) {
  const auto status = client::Json::parse(R"({
    "queue_depth": 1, "in_flight": 1, "total_jobs": 9, "last_wait_ms": 12.5, "last_run_ms": 1500, "oldest_queued": null,
    "devices": [{"id": "gpu0", "queue_depth": 1, "in_flight": 1, "total_jobs": 9, "last_wait_ms": 12.5, "last_run_ms": 1500,
      "memory": {"total_bytes": 12884901888, "measured_bytes": 6442450944, "committed_bytes": 6442450944,
        "reserve_bytes": 536870912, "foreign_bytes": 0, "headroom_bytes": 5905580032,
        "by_consumer": [{"consumer": "chat", "committed_bytes": 6442450944, "measured_bytes": 6442450944}]}}],
    "consumers": [{"name": "chat", "kind": "llm", "device": "gpu0", "devices": ["gpu0", "gpu1"], "state": "warm", "running": 1, "waiting": 1,
      "residents": [{"ai_model": "", "state": "warm", "footprint_bytes": 6442450944, "error": null}]}],
    "line": [{"ticket": 10, "consumer": "chat", "ai_model": "", "device": "gpu0", "stage": "waiting", "place": 1,
      "waiting_ms": 2000, "running_ms": 0, "who": "POST /v1/completions"}]})");
  EXPECT_EQ(format_status(status),
            "1 waiting, 1 running, 9 jobs done\n\n"
            "DEVICE      TOTAL     MEASURED  COMMITTED  WAITING  RUNNING  JOBS  LAST WAIT  LAST RUN\n"
            "gpu0        12.0 GiB  6.0 GiB   6.0 GiB    1        1        9     12 ms      1.5 s\n"
            "  chat                6.0 GiB   6.0 GiB\n"
            "  foreign             0 B\n"
            "  reserve             512 MiB\n"
            "  headroom            5.5 GiB\n"
            "\n"
            "CONSUMER  KIND  DEVICE     STATE  FOOTPRINT  RUNNING  WAITING\n"
            "chat      llm   gpu0+gpu1  warm   6.0 GiB    1        1\n"
            "\n"
            "TICKET  STAGE    PLACE  CONSUMER  DEVICE  WAITED  RUNNING  CALLER\n"
            "10      waiting  1      chat      gpu0    2.0 s   0 ms     POST /v1/completions\n");
}

TEST(AnswerFormat, WhatFewTicketsHaveGetsAColumnWhereOneHasIt) {
  const auto line = client::Json::parse(R"([
    {"ticket": 1, "stage": "running", "place": 0, "consumer": "chat", "device": "gpu0", "waiting_ms": 0,
     "running_ms": 10, "priority": "normal", "user": null, "estimated_wait_ms": null, "overtaken": false,
     "who": "a"},
    {"ticket": 2, "stage": "waiting", "place": 1, "consumer": "tts", "device": "gpu0", "waiting_ms": 2000,
     "running_ms": 0, "priority": "batch", "user": "ada", "estimated_wait_ms": 4200, "overtaken": true,
     "who": "b"}])");
  EXPECT_EQ(
      format_line(line),
      "TICKET  STAGE    PLACE  CONSUMER  DEVICE  PRIORITY  USER  WAITED             STARTS IN  RUNNING  "
      "CALLER\n"
      "1       running  0      chat      gpu0                    0 ms                          10 ms    a\n"
      "2       waiting  1      tts       gpu0    batch     ada   2.0 s (overtaken)  4.2 s      0 ms     b\n");
}

TEST(AnswerFormat, AnEventIsOneLine) {
  EXPECT_EQ(
      format_event({.type = "granted",
                    .data = R"({"id":1,"at":"2026-11-24T13:10:00.123Z","ticket":7,"bytes":1073741824})"}),
      "2026-11-24T13:10:00.123Z  granted          ticket=7 bytes=1.0 GiB");
}

TEST(AnswerFormat, AnEventAsJsonSaysWhichItIs) {
  EXPECT_EQ(format_event_json({.id = "355", .type = "granted", .data = R"({"at":"2026-11-24","ticket":7})"}),
            R"({"id":355,"event":"granted","at":"2026-11-24","ticket":7})");
}

TEST(AnswerFormat, AConsumerThatOnlyTakesLeasesHasAFootprintToo) {
  const auto train =
      client::Json::parse(R"([{"name": "train", "footprint_bytes": 1073741824, "residents": []}])");
  EXPECT_NE(format_consumers(train).find("1.0 GiB"), std::string::npos);
}

TEST(AnswerFormat, TheLogStaysOutOfTheTable) {
  const std::string table = format_consumers(client::Json::parse(
      R"([{"name": "chat", "residents": [{"error": "exited with code 1; last log lines:\nno such file"}]}])"));
  EXPECT_NE(table.find("exited with code 1\n"), std::string::npos) << table;
}

}  // namespace
}  // namespace mgpu::cli
