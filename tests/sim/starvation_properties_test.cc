// Nobody starves, whoever comes after them, how often and for how long.
//
// A ticket waits for those that are due before it, and for what was under way when it came. Once one that is
// due later was taken up before it, others may be for `overtake_bound` more. After that only what is under
// way then goes before it, and on each of its devices one whose resident was loaded ahead before. So, with a
// turn = change of residents + work,
//
//   wait <= turns of those that are due before it
//         + turns that were under way when it came
//         + one change of residents (a load that had begun ahead of anybody's turn)
//         + if it was passed: bound + turns under way when that is over + turns of those loaded ahead
//         + its own change of residents
//
// `overtake_bound` is overtake_limit, or else the larger of 10 s and three rounds of changes for all
// consumers that wait on its devices when it is first passed (sched/line_order.h). Under fifo nobody is
// passed. A ticket is due when it arrives, or later by its class times limits.ageing: how many more urgent
// ones are due before it is in the hands of those who come, but each that comes later than that is not. Jobs
// that compute at once share the device's speed, so that the sum of their work is what they take together.
// One that is split over two devices and due before may keep its place on one while those under way on the
// other go on.
//
// Those that are turnless wait for those of their own consumer that are due before them, and for loads, since
// a device has one at a time; nobody's turn keeps them waiting, and they keep nobody from a turn. What
// computes beside a job makes it last longer all the same.
//
// One thing is left out, because nothing bounds it: what turnless consumers and those who take turns do to
// each other where memory does not hold all.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "lived.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLeastBound = 10s;
constexpr int kRounds = 3;
constexpr Duration kLongestWork = 3s;  // of what households are asked
constexpr Duration kSeeing = 120ms;    // until the readings that a change waits for have come

Duration ms(int count) { return std::chrono::milliseconds{count}; }

bool under_way(const Seen& seen, std::uint64_t step) {
  return seen.taken_up && seen.taken_up->step < step && (!seen.released || seen.released->step > step);
}
bool under_way(const Seen& seen, Instant at) {
  return seen.taken_up && seen.taken_up->at <= at && (!seen.released || seen.released->at > at);
}

// What the witness' record says about one ticket.
class Trial {
 public:
  Trial(const Lived& lived, TicketId id)
      : lived_(lived), all_(lived.witness.tickets()), id_(id), own_(all_.at(id)), place_(place_of(id, own_)) {
    hear_what_went_before();
    if (passed_) hear_what_came_after_the_bound();
    limit_ = limit_ * (1 + turnless_at_once()) + loads_of_turnless();
  }

  Duration limit() const { return limit_; }
  bool bore_its_bound() const { return passed_ && (!own_.taken_up || own_.taken_up->at > *until_); }
  // Who passed it though nobody might.
  std::optional<TicketId> wronged_by() const { return wronged_by_; }

 private:
  using Place = std::pair<Instant, TicketId>;

  Place place_of(TicketId id, const Seen& seen) const {
    if (lived_.household.fifo) return {seen.arrived.at, id};
    return {seen.arrived.at + ms(lived_.household.ageing_ms) * static_cast<int>(lived_.class_of(seen)), id};
  }

  Duration change(int load_ms) const {
    int unload_ms = 0;
    for (const Member& member : lived_.household.members) unload_ms = std::max(unload_ms, member.unload_ms);
    return ms(unload_ms) + ms(load_ms) + kSeeing;
  }
  Duration turn(TicketId id, const Seen& seen) const {
    return change(lived_.member_of(seen).load_ms) + lived_.outcome.jobs[id.value - 1].work;
  }

  int turnless_at_once() const {
    int count = 0;
    for (const Member& member : lived_.household.members)
      if (member.turnless) count += member.concurrency;
    return count;
  }
  // Once each, where memory holds all.
  Duration loads_of_turnless() const {
    Duration sum{0};
    for (const Member& member : lived_.household.members)
      if (member.turnless) sum += member.ai_models * change(member.load_ms);
    return sum;
  }

  bool taken_up_while_it_waited(const Seen& other) const {
    return other.taken_up && other.taken_up->step >= own_.arrived.step &&
           (!own_.taken_up || other.taken_up->step < own_.taken_up->step);
  }

  void hear_what_went_before() {
    limit_ = change(std::ranges::max_element(lived_.household.members, {}, &Member::load_ms)->load_ms) +
             change(lived_.member_of(own_).load_ms);
    for (const auto& [id, seen] : all_) {
      if (id == id_ || lived_.member_of(seen).turnless) continue;
      if (waits_elsewhere(id, seen)) limit_ += at_work_elsewhere();
      const bool due_before = place_of(id, seen) < place_;
      if (under_way(seen, own_.arrived.step) ||
          (due_before && (!seen.taken_up || seen.taken_up->step >= own_.arrived.step)))
        limit_ += turn(id, seen);
      if (due_before || !taken_up_while_it_waited(seen) || !lived_.meet(own_, seen)) continue;
      if (lived_.household.fifo) wronged_by_ = id;
      if (!passed_ || seen.taken_up->step < passed_->step) passed_ = seen.taken_up;
    }
  }

  // A split one that is due before may keep its turn of this device free while another device is at work.
  bool waits_elsewhere(TicketId id, const Seen& seen) const {
    if (lived_.household.fifo || lived_.devices_of(seen).size() < 2 || !lived_.meet(own_, seen)) return false;
    return place_of(id, seen) < place_ && (!seen.taken_up || seen.taken_up->step >= own_.arrived.step);
  }
  Duration at_work_elsewhere() const {
    Duration longest{0};
    int at_once = 0;
    for (const Member& member : lived_.household.members) {
      longest = std::max(longest, change(member.load_ms) + kLongestWork);
      at_once = std::max(at_once, member.concurrency * lived_.household.capacity);
    }
    return at_once * longest;
  }

  void hear_what_came_after_the_bound() {
    const Duration bound = bound_at(*passed_);
    until_ = passed_->at + bound;
    limit_ += bound;
    std::size_t loaded_ahead = 0;
    for (const auto& [id, seen] : all_) {
      if (id == id_ || !seen.taken_up || place_of(id, seen) < place_) continue;
      if (lived_.member_of(seen).turnless) continue;
      const bool late =
          taken_up_while_it_waited(seen) && seen.taken_up->at > *until_ && lived_.meet(own_, seen);
      if (late || under_way(seen, *until_)) limit_ += turn(id, seen);
      if (!late) continue;
      const bool might = seen.claimed && seen.claimed->at <= *until_;
      if (!might || ++loaded_ahead > lived_.devices_of(own_).size()) wronged_by_ = id;
    }
  }

  Duration bound_at(const Moment& when) const {
    if (lived_.household.overtake_ms > 0) return ms(lived_.household.overtake_ms);
    std::set<std::pair<DeviceId, ConsumerId>> waiting;
    for (const auto& [id, seen] : all_)
      if (seen.arrived.step <= when.step && (!seen.taken_up || seen.taken_up->step >= when.step))
        for (const DeviceId device : lived_.devices_of(own_))
          if (is_on_device(lived_.spec_of(seen), device)) waiting.emplace(device, *seen.ask.consumer);
    Duration round{0};
    for (const auto& [device, id] : waiting) {
      const Member& member = lived_.household.members[id.value];
      if (!member.lease_only) round += ms(member.load_ms + member.unload_ms) + kSeeing / kRounds;
    }
    return std::max(kLeastBound, kRounds * round);
  }

  const Lived& lived_;
  const std::map<TicketId, Seen>& all_;
  TicketId id_;
  const Seen& own_;
  Place place_;
  Duration limit_{};
  std::optional<Moment> passed_{};  // for the first time
  std::optional<Instant> until_{};
  std::optional<TicketId> wronged_by_{};
};

// How long one that is turnless may wait, where memory holds all: for its own consumer's, at the speed that
// all who compute at once leave to each, and for every load that there can be.
Duration limit_of_turnless(const Lived& lived, TicketId id) {
  const Seen& own = lived.witness.tickets().at(id);
  const auto place = [&](TicketId ticket, const Seen& seen) {
    const int classes = lived.household.fifo ? 0 : static_cast<int>(lived.class_of(seen));
    return std::pair(seen.arrived.at + ms(lived.household.ageing_ms) * classes, ticket);
  };
  Duration work{0}, loads{0};
  int at_once = 0;
  for (const Member& member : lived.household.members) {
    at_once += member.concurrency;
    loads += member.ai_models * (ms(member.load_ms) + kSeeing);
  }
  for (const auto& [other, seen] : lived.witness.tickets()) {
    if (other == id || seen.ask.consumer != own.ask.consumer) continue;
    const bool before =
        place(other, seen) < place(id, own) && (!seen.taken_up || seen.taken_up->step >= own.arrived.step);
    if (before || under_way(seen, own.arrived.step))
      work += lived.outcome.jobs[other.value - 1].work + kSeeing;
  }
  return work * at_once + loads + kSeeing;
}

std::vector<Request> of_nobody_in_particular(std::vector<Request> drawn) {
  for (Request& request : drawn) request.user = 0;
  return drawn;
}
std::vector<Regulars> of_nobody_in_particular(std::vector<Regulars> drawn) {
  for (Regulars& each : drawn) each.request.user = 0;
  return drawn;
}

// Everybody is there at once. (Who needs no turn can't be exclusive.)
Household roomy(Household drawn) {
  for (Member& member : drawn.members) {
    member.footprint_gib = 1, member.working_gib = 0;
    member.exclusive = member.exclusive && !member.turnless;
  }
  return drawn;
}

TEST(Starvation, WhereMemoryHoldsAllThoseWithoutTurnsAndThoseWithKeepNobodyWaiting) {
  std::size_t waited_for_their_own = 0;
  const bool held = rc::check("turnless ones wait for their own consumer, nobody waits for them", [&] {
    const auto household = *rc::gen::map(some_household(), roomy);
    const auto requests = of_nobody_in_particular(*some_requests());
    const auto regulars = of_nobody_in_particular(*some_regulars());
    const Lived lived = live(household, requests, regulars, 60s);
    for (const auto& [id, seen] : lived.witness.tickets()) {
      const std::string who = "ticket " + std::to_string(id.value);
      if (!seen.granted) RC_FAIL(who + " never ran: " + lived.outcome.first_refusal);
      const bool turnless = lived.member_of(seen).turnless;
      const Duration waited = seen.granted->at - seen.arrived.at;
      const Duration limit = turnless ? limit_of_turnless(lived, id) : Trial(lived, id).limit();
      waited_for_their_own += turnless && waited > 1s;
      if (waited > limit)
        RC_FAIL(who + " waited " + to_string(waited) + ", and " + to_string(limit) + " explain themselves");
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(waited_for_their_own, 100U) << "hardly anybody waited: these cases prove nothing";
}

TEST(Starvation, NobodyWaitsLongerThanTheBoundAllows) {
  std::size_t bore_their_bound = 0;
  const bool held = rc::check("everybody's wait is bounded by what stood before them", [&] {
    const auto household = *rc::gen::map(some_household(), [](Household drawn) {
      for (Member& member : drawn.members) member.turnless = false;
      return drawn;
    });
    // A user's share moves places: that is another property.
    const auto requests = of_nobody_in_particular(*some_requests());
    const auto regulars = of_nobody_in_particular(*some_regulars());
    const Lived lived = live(household, requests, regulars, 60s);
    for (const auto& [id, seen] : lived.witness.tickets()) {
      const std::string who = "ticket " + std::to_string(id.value);
      const Trial trial(lived, id);
      bore_their_bound += trial.bore_its_bound();
      if (!seen.granted) RC_FAIL(who + " never ran: " + lived.outcome.first_refusal);
      if (const auto other = trial.wronged_by())
        RC_FAIL(who + " was passed by " + std::to_string(other->value) + ", past its bound");
      const Duration waited = seen.granted->at - seen.arrived.at;
      if (waited > trial.limit())
        RC_FAIL(who + " waited " + to_string(waited) + ", and " + to_string(trial.limit()) +
                " explain themselves");
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(bore_their_bound, 0U) << "nobody was ever kept waiting to the bound: these cases prove nothing";
}

}  // namespace
}  // namespace mgpu::sim
