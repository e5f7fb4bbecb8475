#include "api/codec.h"

#include <gtest/gtest.h>

namespace mgpu::api {
namespace {

using std::chrono::system_clock;

system_clock::time_point wall(Instant at) {
  return system_clock::time_point{} + std::chrono::microseconds(at.us);
}

std::string empty_user_label(std::uint32_t) { return ""; }

TEST(Codec, WritesTheSixFiguresUnderTheirNames) {
  Statistics statistics{.queue_depth = 2, .in_flight = 1, .total_jobs = 9, .last_wait = Duration{1500}};
  statistics.oldest_queued = Instant{2'000'000};
  const Json json = statistics_json(statistics, wall);
  EXPECT_EQ(json,
            Json::parse(R"({"queue_depth":2,"in_flight":1,"total_jobs":9,"last_wait_ms":1.5,"last_run_ms":0.0,
                                  "oldest_queued":"1970-01-01T00:00:02.000Z"})"));
  statistics.oldest_queued.reset();
  EXPECT_TRUE(statistics_json(statistics, wall)["oldest_queued"].is_null());
}

TEST(Codec, GivesAResidentsErrorOnlyWhileItHasFailed) {
  Resident resident{.ai_model = "m",
                    .footprint = kGiB,
                    .state = Residency::failed,
                    .last_error = {ErrorCode::load_failed, "no such file"},
                    .retry_at = Instant{1'000'000}};
  EXPECT_EQ(resident_json(resident, wall)["error"], "no such file");
  EXPECT_EQ(resident_json(resident, wall)["retry_at"], "1970-01-01T00:00:01.000Z");
  resident.state = Residency::warm;
  EXPECT_TRUE(resident_json(resident, wall)["error"].is_null());
  EXPECT_TRUE(resident_json(resident, wall)["last_used"].is_null());
}

TEST(Codec, NamesEventsAndPutsNamesForIds) {
  Registry registry;
  registry.devices.push_back({.name = "gpu0"});
  const ConsumerId chat = add_consumer(registry, {.name = "chat"});
  const ResidentId resident = add_resident(registry, chat, "m", kGiB);
  const JournalEntry entry{
      .id = 3,
      .at = Instant{1'000'000},
      .payload = Effect{Evicted{.resident = resident, .rung = Rung::stop, .before_bytes = kGiB}}};
  EXPECT_EQ(event_type(entry.payload), "evicted");
  EXPECT_EQ(entry_json(entry, registry, wall, empty_user_label),
            Json::parse(
                R"({"consumer":"chat","ai_model":"m","rung":"stop","before_bytes":1073741824,"after_bytes":0,
                            "at":"1970-01-01T00:00:01.000Z","type":"evicted"})"));
}

TEST(Codec, AnArrivalHasItsUserPriorityAndDeadline) {
  Registry registry;
  registry.devices.push_back({.name = "gpu0"});
  const JournalEntry entry{
      .id = 1,
      .at = Instant{1'000'000},
      .payload = EventPayload{TicketArrived{
          TicketId{7},
          {.bytes = kGiB, .priority = Priority::batch, .user = 3, .deadline = std::chrono::seconds(10)}}}};
  const Json json =
      entry_json(entry, registry, wall, [](std::uint32_t user) { return "user " + std::to_string(user); });
  EXPECT_EQ(json["priority"], "batch");
  EXPECT_EQ(json["user"], "user 3");
  EXPECT_EQ(json["deadline_ms"], 10'000.0);
}

TEST(Codec, EveryEventHasItsName) {
  EXPECT_EQ(event_type(EventPayload{TicketArrived{}}), "ticket_arrived");
  EXPECT_EQ(event_type(EventPayload{ReadingTaken{}}), "reading_taken");
  EXPECT_EQ(event_type(EventPayload{Tick{}}), "tick");
  EXPECT_EQ(event_type(Effect{Grant{}}), "granted");
  EXPECT_EQ(event_type(Effect{EndLease{}}), "lease_ended");
  EXPECT_EQ(event_type(Effect{EvictionFailed{}}), "eviction_failed");
}

TEST(Codec, MendsTextThatIsNotUtf8) { EXPECT_EQ(dump(Json{{"a", "\xff"}}), "{\"a\":\"\xEF\xBF\xBD\"}"); }

}  // namespace
}  // namespace mgpu::api
