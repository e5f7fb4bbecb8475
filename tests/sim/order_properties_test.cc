// In which order those are served who may not overtake each other, whatever rapidcheck thinks of.
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "lived.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

std::string name(TicketId id) { return "ticket " + std::to_string(id.value); }

// Those that are alike leave the line in the order of their arrival. (A step may take up several, in an order
// that nobody sees.)
template <class KindOf>
void taken_up_by_arrival(const Lived& lived, KindOf kind_of, std::optional<DeviceId> on = std::nullopt) {
  std::map<decltype(kind_of(Seen{})), std::pair<TicketId, Moment>> latest;
  for (const auto& [id, seen] : lived.witness.tickets()) {
    if (!seen.taken_up || (on && !is_on_device(lived.spec_of(seen), *on))) continue;
    const auto [before, first] = latest.try_emplace(kind_of(seen), id, *seen.taken_up);
    if (!first && seen.taken_up->step < before->second.second.step)
      RC_FAIL(name(id) + " was taken up before " + name(before->second.first));
    before->second = {id, *seen.taken_up};
  }
}

template <class KindOf>
void granted_by_arrival(const Lived& lived, KindOf kind_of) {
  std::map<decltype(kind_of(Seen{})), TicketId> latest;
  for (const TicketId id : lived.witness.grants()) {
    TicketId& before = latest[kind_of(lived.witness.tickets().at(id))];
    if (id < before) RC_FAIL(name(id) + " was granted after " + name(before));
    before = id;
  }
}

Lived some_life(const Household& household) {
  const auto requests = *some_requests();
  const auto regulars = *some_regulars();
  return live(household, requests, regulars, 30s);
}

// Under both policies, whatever the capacity and concurrency. Of one AI model also the grants themselves:
// loads of two may end the other way round.
TEST(Order, WithinOneConsumerClassAndUserIsThatOfArrival) {
  const bool held = rc::check("first come, first served within one consumer, class and user", [] {
    const Lived lived = some_life(*some_household());
    taken_up_by_arrival(lived, [&](const Seen& seen) { return lived.kind_of(seen); });
    granted_by_arrival(lived,
                       [&](const Seen& seen) { return std::pair(lived.kind_of(seen), seen.ask.resident); });
  });
  EXPECT_TRUE(held);
}

TEST(Order, UnderFifoIsThatOfArrivalOverTheWholeDevice) {
  const bool held = rc::check("first come, first served", [] {
    const auto household = *rc::gen::map(some_household(), [](Household drawn) {
      drawn.fifo = true;
      for (Member& member : drawn.members) member.turnless = false;  // they stand in no line
      return drawn;
    });
    const Lived lived = some_life(household);
    for (const DeviceId device : {DeviceId{0}, DeviceId{1}})
      taken_up_by_arrival(lived, [](const Seen&) { return 0; }, device);
  });
  EXPECT_TRUE(held);
}

// The charter's mutex: one at a time, and nothing else.
TEST(Order, UnderFifoWithOneTurnAndOneLeaseAtATimeIsThatOfAMutex) {
  const bool held = rc::check("one after the other, in the order of arrival", [] {
    const auto household = *rc::gen::map(some_household(), [](Household drawn) {
      drawn.fifo = true, drawn.devices = drawn.capacity = 1;
      for (Member& member : drawn.members) member.turnless = false, member.concurrency = 1;
      return drawn;
    });
    const Lived lived = some_life(household);
    granted_by_arrival(lived, [](const Seen&) { return 0; });
    Instant free{};
    for (const TicketId id : lived.witness.grants()) {
      const Seen& seen = lived.witness.tickets().at(id);
      RC_ASSERT(seen.granted->at >= free);
      free = seen.released->at;
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace mgpu::sim
