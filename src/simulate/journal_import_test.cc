#include "simulate/journal_import.h"

#include <gtest/gtest.h>

namespace mgpu::simulate {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;

replay::Machine one_consumer() {
  replay::Machine machine;
  const DeviceId device = replay::add_device(machine, {.name = "gpu0"}, {});
  Consumer spec{.name = "chat", .device = device, .footprint = kGiB * 4};
  replay::add_consumer(machine, spec, replay::estimated_costs(kGiB * 4));
  return machine;
}

// A journal with one request that waits for a load and runs, and one that is cancelled.
const std::string kJournal =
    R"({"at":"2026-11-24T23:59:58.000Z","type":"reading_taken","device":"gpu0","total_bytes":8589934592}
{"at":"2026-11-24T23:59:59.500Z","type":"ticket_arrived","ticket":1,"consumer":"chat","ai_model":"","device":"gpu0","warm_up":false}
{"at":"2026-11-24T23:59:59.500Z","type":"load","consumer":"chat","ai_model":"","ticket":1,"from_parked":false}
{"at":"2026-11-25T00:00:02.500Z","type":"load_ended","consumer":"chat","ai_model":"","ok":true}
{"at":"2026-11-25T00:00:02.500Z","type":"granted","ticket":1,"waited_ms":3000.0}
{"at":"2026-11-25T00:00:03.000Z","type":"ticket_arrived","ticket":2,"consumer":"chat","ai_model":"","device":"gpu0","warm_up":false}
{"at":"2026-11-25T00:00:04.000Z","type":"lease_released","ticket":1}
{"at":"2026-11-25T00:00:04.000Z","type":"ticket_cancelled","ticket":2}
{"at":"2026-11-25T00:00:05.000Z","type":"evict","consumer":"chat","ai_model":"","rung":"service"}
{"at":"2026-11-25T00:00:05.250Z","type":"evicted","consumer":"chat","ai_model":"","rung":"service"}
)";

TEST(Journal, GivesJobsWithArrivalAndDuration) {
  const replay::Machine machine = one_consumer();
  const auto journal = parse_journal(kJournal);
  ASSERT_TRUE(journal) << journal.error().detail;
  const RecordedWorkload recorded = extract_workload(machine, *journal);
  ASSERT_EQ(recorded.workload.flows.size(), 1U);
  EXPECT_EQ(recorded.workload.flows[0].steps[0].work, 1500ms);
  EXPECT_EQ(recorded.skipped_tickets, 1U);
}

TEST(Journal, GivesLoadTimesAndDeviceSizes) {
  replay::Machine machine = one_consumer();
  EXPECT_EQ(learn_from(machine, *parse_journal(kJournal)), 1U);
  EXPECT_EQ(machine.device_memory[0], kGiB * 8);
  EXPECT_EQ(machine.costs[0].load_cold, 3s);
  EXPECT_EQ(machine.costs[0].unload, 250ms);
}

TEST(Journal, IsReadFromServerSentEvents) {
  const std::string events =
      ": mgpu events\n\nid: 7\nevent: ticket_arrived\n"
      R"(data: {"at":"2026-11-24T23:59:59.500Z","ticket":1,"consumer":"chat","ai_model":"llama3:8b"})"
      "\n\n";
  ASSERT_TRUE(is_journal(events));
  const auto journal = parse_journal(events);
  ASSERT_TRUE(journal) << journal.error().detail;
  ASSERT_EQ(journal->size(), 1U);
  EXPECT_EQ(journal->front().type, "ticket_arrived");
  replay::Machine machine = one_consumer();
  learn_from(machine, *journal);  // an AI model that the configuration does not name
  EXPECT_EQ(machine.world.registry.residents.size(), 2U);
  EXPECT_EQ(machine.costs.size(), 2U);
}

TEST(Journal, TheErrorNamesTheLine) {
  EXPECT_EQ(parse_journal("{\"at\":\"yesterday\",\"type\":\"granted\"}\n").error().detail,
            "line 1 has no time (at) or no type");
  EXPECT_EQ(parse_journal("\n{\"at\":\n").error().detail, "line 2 is not a JSON object");
  EXPECT_FALSE(is_journal("time,consumer,seconds\n"));
}

TEST(Journal, IsRejectedIfAnAmountOrTimeIsOutOfRange) {
  const auto refusal = [](const std::string& more) {
    const auto read = parse_journal(R"({"at":"2026-11-24T23:59:58.000Z","type":"learned",)" + more + "}\n");
    return read ? std::string("taken") : read.error().detail;
  };
  EXPECT_EQ(refusal(R"("learned":{"load_cold_ms":1e300})"), "line 1: load_cold_ms is out of range");
  EXPECT_EQ(refusal(R"("footprint_bytes":9223372036854775807)"), "line 1: footprint_bytes is out of range");
  EXPECT_EQ(refusal(R"("headroom_bytes":-4096)"), "taken") << "headroom may be negative";
  const auto far = parse_journal(R"({"at":"1971-01-01T00:00:00.000Z","type":"tick"})"
                                 "\n"
                                 R"({"at":"9999-01-01T00:00:00.000Z","type":"tick"})"
                                 "\n");
  ASSERT_FALSE(far);
  EXPECT_EQ(far.error().detail, "line 2 is more than 366d away from the first event");
  EXPECT_FALSE(parse_journal(R"({"at":"2026-11-24T99:99:1e300Z","type":"tick"})"));
}

TEST(Status, GivesLearnedCosts) {
  replay::Machine machine = one_consumer();
  const json status{{"devices", {{{"id", "gpu0"}, {"memory", {{"total_bytes", kGiB.count * 24}}}}}},
                    {"consumers",
                     {{{"name", "chat"},
                       {"residents",
                        {{{"ai_model", ""},
                          {"footprint_bytes", kGiB.count * 5},
                          {"learned", {{"load_cold_ms", 8000.0}, {"load_parked_ms", 500.0}}}}}}}}}};
  EXPECT_EQ(learn_from(machine, status), 1U);
  EXPECT_EQ(machine.device_memory[0], kGiB * 24);
  EXPECT_EQ(machine.world.registry.residents[0].footprint, kGiB * 5);
  EXPECT_EQ(machine.costs[0].load_cold, 8s);
  EXPECT_EQ(machine.costs[0].load_parked, 500ms);
}

}  // namespace
}  // namespace mgpu::simulate
