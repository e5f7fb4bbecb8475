// What people are told about when they can start.
//
// Never a moment that is past, whatever goes wrong. And under fifo with one turn, where the order is no
// guess: if jobs take what such jobs took and nobody comes any more, an estimate is wrong by no more than
//
//   a quarter of a job       a running one that is about to end is given so much more
//   (sched/start_estimate.cc)
// + the changes of residents that it and those before it may need: who leaves for whom is guessed
//
// and where all fit together, so that nobody has to leave, by no more than that quarter.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "sched/start_estimate.h"
#include "sched/step.h"

#include "history.h"
#include "lived.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

constexpr DeviceId kDevice{0};
constexpr Duration kReadings = 10ms;  // that a change, or a start, waits for

struct Told {
  TicketId ticket{};
  Instant now{};
  Instant start{};
};

TEST(Estimates, AreNeverOfAMomentThatIsPast) {
  const bool held = rc::check("nobody is told of a start in the past", [] {
    const History history = some_history();
    World world = history.world;
    for (const Event& event : history.events) {
      step(world, event);
      for (std::size_t i = 0; i < world.lines.size(); ++i)
        for (const auto& [id, at] : estimated_starts(world, DeviceId{i})) RC_ASSERT(at >= world.now);
    }
  });
  EXPECT_TRUE(held);
}

// One at a time, and it is known how long each job takes.
Household orderly(Household household) {
  household.fifo = true, household.devices = household.capacity = 1;
  for (Member& member : household.members) {
    member.concurrency = 1, member.turnless = member.lease_only = member.parks = false;
    member.run_ms = 400;
  }
  return household;
}

// Of all that were told of their start after the last of them had come.
std::vector<Told> told_in(const Household& household, std::vector<Request> requests, Lived& lived) {
  for (Request& request : requests) request.work_ms = 400, request.at_ms /= 10;
  std::vector<Told> told;
  lived = live(household, requests, {}, 10s, [&](const World& world) {
    const Statistics& so_far = world.lines[kDevice.value].statistics;
    if (so_far.total_jobs + so_far.queue_depth + so_far.in_flight < requests.size()) return;
    for (const auto& [id, at] : estimated_starts(world, kDevice)) told.push_back({id, world.now, at});
  });
  return told;
}

void is_off_by_at_most(const Told& told, const Lived& lived, Duration late, Duration early) {
  const Instant granted = lived.witness.tickets().at(told.ticket).granted->at;
  if (granted <= told.start + late && told.start <= granted + early) return;
  RC_FAIL("ticket " + std::to_string(told.ticket.value) + " was to wait " + to_string(told.start - told.now) +
          ", and waited " + to_string(granted - told.now));
}

TEST(Estimates, AreRightWhereNobodyHasToLeave) {
  std::size_t checked = 0;
  const bool held = rc::check("with memory for all, an estimate is right to a quarter of a job", [&] {
    const auto household = *rc::gen::map(some_household(), [](const Household& drawn) {
      Household household = orderly(drawn);
      for (Member& member : household.members)
        member.footprint_gib = 1 + member.footprint_gib % 2, member.working_gib = 0, member.ai_models = 1;
      return household;
    });
    Lived lived;
    for (const Told& told : told_in(household, *some_requests(), lived)) {
      is_off_by_at_most(told, lived, kReadings, 100ms + kReadings);
      ++checked;
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(checked, 0U);
}

TEST(Estimates, AreWrongByTheChangesOfThoseBeforeAtMost) {
  std::size_t checked = 0;
  const bool held = rc::check("an estimate may guess changes of residents wrong, but no work", [&] {
    const auto household = *rc::gen::map(some_household(), orderly);
    const int unload_ms = std::ranges::max_element(household.members, {}, &Member::unload_ms)->unload_ms;
    Lived lived;
    for (const Told& told : told_in(household, *some_requests(), lived)) {
      Duration changes{0};
      for (const auto& [id, seen] : lived.witness.tickets())
        if (id <= told.ticket && seen.granted->at > told.now)
          changes += std::chrono::milliseconds{lived.member_of(seen).load_ms + unload_ms} + kReadings;
      is_off_by_at_most(told, lived, changes + kReadings, changes + 100ms + kReadings);
      ++checked;
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(checked, 0U);
}

}  // namespace
}  // namespace mgpu::sim
