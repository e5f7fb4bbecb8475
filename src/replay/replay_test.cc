#include "replay/replay.h"

#include <gtest/gtest.h>

#include "replay/csv.h"
#include "replay/settings.h"
#include "replay/summary.h"

namespace mgpu::replay {
namespace {

using namespace std::chrono_literals;

constexpr Duration kReadingSlack = 50ms;  // time for the readings that a decision needs

// A device of 12 GiB; a and b need 8 GiB each, so that only one of them fits; c needs 2 GiB.
Machine three_consumers() {
  Machine machine;
  const DeviceId device = add_device(machine, {.name = "gpu0"}, kGiB * 12);
  const auto add = [&](const char* name, Bytes footprint, Duration load) {
    Consumer spec{.name = name, .device = device, .footprint = footprint};
    spec.can_unload = true;
    add_consumer(machine, spec, {.load_cold = load, .load_cached = load / 4, .unload = 1s});
  };
  add("a", kGiB * 8, 4s);
  add("b", kGiB * 8, 4s);
  add("c", kGiB * 2, 1s);
  return machine;
}

Workload parse_rows(const Machine& machine, const std::string& rows) {
  const auto workload = parse_csv("time,consumer,seconds,user,priority,flow\n" + rows, machine);
  EXPECT_TRUE(workload) << workload.error().detail;
  return workload.value_or(Workload{});
}

Duration wait_time(const Job& job) { return job.started - job.arrived; }

#define EXPECT_ABOUT(duration, expected)                                \
  do {                                                                  \
    const Duration actual = (duration);                                 \
    EXPECT_GE(actual, (expected)) << to_string(actual);                 \
    EXPECT_LE(actual, (expected) + kReadingSlack) << to_string(actual); \
  } while (false)

TEST(Replay, AColdConsumerIsLoadedAndAWarmOneStartsAtOnce) {
  const Machine machine = three_consumers();
  const Outcome outcome = replay(machine, parse_rows(machine, "0,a,2,,,\n10,a,1,,,\n"));
  ASSERT_EQ(outcome.jobs.size(), 2U);
  EXPECT_ABOUT(wait_time(outcome.jobs[0]), 4s);
  EXPECT_ABOUT(wait_time(outcome.jobs[1]), 0s);
  EXPECT_EQ(outcome.jobs[1].ended - outcome.jobs[1].started, 1s);
}

TEST(Replay, AConsumerThatDoesNotFitWaitsForTheEvictionToo) {
  const Machine machine = three_consumers();
  const Outcome outcome = replay(machine, parse_rows(machine, "0,a,2,,,\n10,b,1,,,\n"));
  EXPECT_ABOUT(wait_time(outcome.jobs[1]), 1s + 4s);
  const Summary summary = summarize(outcome);
  EXPECT_EQ(summary.loads, 2U);
  EXPECT_EQ(summary.evictions, 1U);
}

TEST(Replay, TheNextStepOfAFlowArrivesAfterTheOneBeforeHasEnded) {
  const Machine machine = three_consumers();
  const Outcome outcome = replay(machine, parse_rows(machine, "0,a,2,anna,,talk\n0.5,c,1,anna,,talk\n"));
  ASSERT_EQ(outcome.jobs.size(), 2U);
  EXPECT_EQ(outcome.jobs[1].arrived - outcome.jobs[0].ended, 500ms);
  EXPECT_EQ(outcome.jobs[0].user, outcome.jobs[1].user);
}

TEST(Replay, ConcurrentJobsShareTheSpeedOfTheDevice) {
  Machine machine = three_consumers();
  ASSERT_TRUE(apply_setting(machine, "capacity=2"));
  const Outcome outcome =
      replay(machine, parse_rows(machine, "0,a,0.1,,,\n5,c,0.1,,,\n20,a,2,,,\n20,c,2,,,\n"));
  EXPECT_EQ(outcome.jobs[2].ended - outcome.jobs[2].started, 4s);
  EXPECT_EQ(summarize(outcome).lost.worst, outcome.jobs[0].ended - outcome.jobs[0].arrived - 100ms);
}

TEST(Replay, WeightsInThePageCacheAreLoadedFaster) {
  Machine machine = three_consumers();
  ASSERT_TRUE(apply_setting(machine, "page_cache=16GiB"));
  const Workload workload = parse_rows(machine, "0,a,1,,,\n10,b,1,,,\n20,a,1,,,\n");
  const Outcome outcome = replay(machine, workload);
  EXPECT_ABOUT(wait_time(outcome.jobs[2]), 1s + 1s);
  EXPECT_EQ(summarize(outcome).loads_from[static_cast<std::size_t>(LoadSource::cached)], 1U);

  ASSERT_TRUE(apply_setting(machine, "page_cache=15GiB"));  // b's weights replace a's
  EXPECT_ABOUT(wait_time(replay(machine, workload).jobs[2]), 1s + 4s);
}

TEST(Replay, IsDeterministic) {
  const Machine machine = three_consumers();
  std::string rows;
  for (int i = 0; i < 200; ++i)
    rows += std::to_string(i * 3 % 47) + "," + "abc"[i * 7 % 3] + "," + std::to_string(i % 5) + ",u" +
            std::to_string(i % 3) + ",,\n";
  const Workload workload = parse_rows(machine, rows);
  const Outcome first = replay(machine, workload), second = replay(machine, workload);
  ASSERT_EQ(first.jobs.size(), 200U);
  EXPECT_EQ(first.end, second.end);
  for (std::size_t i = 0; i < first.jobs.size(); ++i)
    EXPECT_EQ(first.jobs[i].started, second.jobs[i].started);
}

TEST(Replay, UnderFifoNoJobIsOvertaken) {
  Machine machine = three_consumers();
  ASSERT_TRUE(apply_setting(machine, "policy=fifo"));
  const Outcome outcome = replay(machine, parse_rows(machine, "0,a,5,,,\n1,b,5,,,\n2,a,5,,,\n3,b,5,,,\n"));
  EXPECT_EQ(summarize(outcome).max_times_overtaken, 0U);
  EXPECT_EQ(summarize(outcome).loads, 4U);
}

TEST(Replay, ARefusedJobIsCountedAndItsFlowContinues) {
  Machine machine = three_consumers();
  ASSERT_TRUE(apply_setting(machine, "wait_limit=2s"));
  const Outcome outcome = replay(machine, parse_rows(machine, "0,a,1,,,f\n5,c,1,,,f\n"));
  ASSERT_EQ(outcome.jobs.size(), 2U);
  EXPECT_TRUE(outcome.jobs[0].refused);
  EXPECT_FALSE(outcome.jobs[1].refused);
  EXPECT_EQ(summarize(outcome).refused, 1U);
}

TEST(Summary, SharesOfTheTimeAddUp) {
  const Machine machine = three_consumers();
  const Summary summary = summarize(replay(machine, parse_rows(machine, "0,a,4,,,\n8,b,3,,,\n")));
  EXPECT_NEAR(summary.busy + summary.loading + summary.idle, 1, 1e-9);
  EXPECT_NEAR(summary.busy, 7.0 / 16, 0.01);     // 4 + 3 of 16 seconds
  EXPECT_NEAR(summary.loading, 9.0 / 16, 0.01);  // two loads and an eviction
}

TEST(Summary, UnfairnessIsTheWorstUsersSlowdownOverTheMean) {
  Outcome outcome;
  const auto job = [&](std::uint32_t user, Duration wait) {
    outcome.jobs.push_back(
        {.user = user, .started = Instant{} + wait, .ended = Instant{} + wait + 1s, .work = 1s});
  };
  job(1, 0s), job(2, 0s), job(3, 3s);  // slowdowns 1, 1 and 4
  EXPECT_NEAR(summarize(outcome).unfairness, 2, 1e-9);
}

TEST(Csv, WritingAndParsingGivesTheSameRows) {
  const Machine machine = three_consumers();
  const std::string rows =
      "0.500000,a,1.250000,u1,batch,\n3.000000,b,2.000000,u2,,f1\n0.100000,c,1.000000,u2,,f1\n";
  EXPECT_EQ(to_csv(parse_rows(machine, rows), machine), "time,consumer,seconds,user,priority,flow\n" + rows);
}

TEST(Csv, ErrorsNameTheLine) {
  const Machine machine = three_consumers();
  const auto detail = [&](const char* text) {
    const auto workload = parse_csv(text, machine);
    return workload ? "" : workload.error().detail;
  };
  EXPECT_EQ(detail("time,consumer,seconds\n0,a,1\n1,nobody,1\n"), "line 3: there is no consumer nobody");
  EXPECT_EQ(detail("time,consumer\n"), "line 1: the column seconds is missing");
  EXPECT_EQ(detail("time,consumer,seconds\n-1,a,1\n"),
            "line 2: time and seconds must be numbers of seconds from 0 to 366d");
  for (const char* row : {"nan,a,1", "inf,a,1", "0,a,1e300", "99999999999,a,1"})
    EXPECT_EQ(detail(("time,consumer,seconds\n" + std::string(row) + "\n").c_str()),
              "line 2: time and seconds must be numbers of seconds from 0 to 366d")
        << row;
  EXPECT_EQ(detail("time,consumer,seconds,priority\n1,a,1,soon\n"),
            "line 2: \"soon\" is not a priority (realtime, interactive, normal, batch)");
  EXPECT_EQ(detail("when,consumer,seconds\n"),
            "line 1: unknown column \"when\" (known: time, consumer, seconds, user, priority, flow)");
  EXPECT_EQ(detail(""), "the header is missing (its first line must be time,consumer,seconds,...)");
}

TEST(Settings, ChangeOnlyWhatTheyName) {
  Machine machine = three_consumers();
  ASSERT_TRUE(apply_setting(machine, "overtake_limit=5s"));
  ASSERT_TRUE(apply_setting(machine, "consumers.b.footprint=3GiB"));
  ASSERT_TRUE(apply_setting(machine, "device_memory=48GiB"));
  EXPECT_EQ(machine.world.limits.overtake_limit, 5s);
  EXPECT_EQ(machine.world.registry[ResidentId{1}].footprint, kGiB * 3);
  EXPECT_EQ(machine.world.registry[ResidentId{0}].footprint, kGiB * 8);
  EXPECT_EQ(machine.device_memory.front(), kGiB * 48);
  for (const char* wrong : {"overtake_limit", "overtake_limit=soon", "colour=red", "consumers.x.pinned=true",
                            "consumers.a.colour=red", "policy=lifo"})
    EXPECT_FALSE(apply_setting(machine, wrong)) << wrong;
}

}  // namespace
}  // namespace mgpu::replay
