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

#include "machine_run.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

constexpr Duration kLeastBound = 10s;
constexpr int kChangeRounds = 3;
constexpr Duration kLongestWork = 3s;      // of what households are asked
constexpr Duration kReadingDelay = 120ms;  // until the readings that a change waits for have come

Duration ms(int count) { return std::chrono::milliseconds{count}; }

bool is_under_way(const TicketRecord& record, std::uint64_t step) {
  return record.promised && record.promised->step < step &&
         (!record.released || record.released->step > step);
}
bool is_under_way(const TicketRecord& record, Instant at) {
  return record.promised && record.promised->at <= at && (!record.released || record.released->at > at);
}

// What the witness' record says about one ticket.
class WaitAnalysis {
 public:
  WaitAnalysis(const MachineRun& run, TicketId id)
      : run_(run),
        records_(run.recorder.tickets()),
        id_(id),
        own_record_(records_.at(id)),
        place_(place_of(id, own_record_)) {
    add_earlier_turns();
    if (first_overtaken_) add_turns_past_bound();
    limit_ = limit_ * (1 + turnless_concurrency()) + turnless_load_time();
  }

  Duration limit() const { return limit_; }
  bool waited_past_bound() const {
    return first_overtaken_ && (!own_record_.promised || own_record_.promised->at > *bound_end_);
  }
  // Who passed it though nobody might.
  std::optional<TicketId> unfair_overtaker() const { return unfair_overtaker_; }

 private:
  using Place = std::pair<Instant, TicketId>;

  Place place_of(TicketId id, const TicketRecord& record) const {
    if (run_.test_machine.fifo) return {record.arrived.at, id};
    return {record.arrived.at + ms(run_.test_machine.ageing_ms) * static_cast<int>(run_.class_of(record)),
            id};
  }

  Duration change_time(int load_ms) const {
    int unload_ms = 0;
    for (const TestConsumer& consumer : run_.test_machine.consumers)
      unload_ms = std::max(unload_ms, consumer.unload_ms);
    return ms(unload_ms) + ms(load_ms) + kReadingDelay;
  }
  Duration turn_time(TicketId id, const TicketRecord& record) const {
    return change_time(run_.member_of(record).load_ms) + run_.outcome.jobs[id.value - 1].work;
  }

  int turnless_concurrency() const {
    int count = 0;
    for (const TestConsumer& consumer : run_.test_machine.consumers)
      if (consumer.turnless) count += consumer.concurrency;
    return count;
  }
  // Once each, where memory holds all.
  Duration turnless_load_time() const {
    Duration sum{0};
    for (const TestConsumer& consumer : run_.test_machine.consumers)
      if (consumer.turnless) sum += consumer.ai_models * change_time(consumer.load_ms);
    return sum;
  }

  bool was_promised_meanwhile(const TicketRecord& other) const {
    return other.promised && other.promised->step >= own_record_.arrived.step &&
           (!own_record_.promised || other.promised->step < own_record_.promised->step);
  }

  void add_earlier_turns() {
    limit_ = change_time(
                 std::ranges::max_element(run_.test_machine.consumers, {}, &TestConsumer::load_ms)->load_ms) +
             change_time(run_.member_of(own_record_).load_ms);
    for (const auto& [id, record] : records_) {
      if (id == id_ || run_.member_of(record).turnless) continue;
      if (may_wait_on_other_device(id, record)) limit_ += longest_work_on_other_device();
      const bool due_before = place_of(id, record) < place_;
      if (is_under_way(record, own_record_.arrived.step) ||
          (due_before && (!record.promised || record.promised->step >= own_record_.arrived.step)))
        limit_ += turn_time(id, record);
      if (due_before || !was_promised_meanwhile(record) || !run_.share_device(own_record_, record)) continue;
      if (run_.test_machine.fifo) unfair_overtaker_ = id;
      if (!first_overtaken_ || record.promised->step < first_overtaken_->step)
        first_overtaken_ = record.promised;
    }
  }

  // A split one that is due before may keep its turn of this device free while another device is at work.
  bool may_wait_on_other_device(TicketId id, const TicketRecord& record) const {
    if (run_.test_machine.fifo || run_.devices_of(record).size() < 2 ||
        !run_.share_device(own_record_, record))
      return false;
    return place_of(id, record) < place_ &&
           (!record.promised || record.promised->step >= own_record_.arrived.step);
  }
  Duration longest_work_on_other_device() const {
    Duration longest{0};
    int at_once = 0;
    for (const TestConsumer& consumer : run_.test_machine.consumers) {
      longest = std::max(longest, change_time(consumer.load_ms) + kLongestWork);
      at_once = std::max(at_once, consumer.concurrency * run_.test_machine.capacity);
    }
    return at_once * longest;
  }

  void add_turns_past_bound() {
    const Duration bound = overtake_bound(*first_overtaken_);
    bound_end_ = first_overtaken_->at + bound;
    limit_ += bound;
    std::size_t loaded_ahead = 0;
    for (const auto& [id, record] : records_) {
      if (id == id_ || !record.promised || place_of(id, record) < place_) continue;
      if (run_.member_of(record).turnless) continue;
      const bool late = was_promised_meanwhile(record) && record.promised->at > *bound_end_ &&
                        run_.share_device(own_record_, record);
      if (late || is_under_way(record, *bound_end_)) limit_ += turn_time(id, record);
      if (!late) continue;
      const bool claimed_in_time = record.claimed && record.claimed->at <= *bound_end_;
      if (!claimed_in_time || ++loaded_ahead > run_.devices_of(own_record_).size()) unfair_overtaker_ = id;
    }
  }

  Duration overtake_bound(const StepTime& when) const {
    if (run_.test_machine.overtake_ms > 0) return ms(run_.test_machine.overtake_ms);
    std::set<std::pair<DeviceId, ConsumerId>> waiting;
    for (const auto& [id, record] : records_)
      if (record.arrived.step <= when.step && (!record.promised || record.promised->step >= when.step))
        for (const DeviceId device : run_.devices_of(own_record_))
          if (is_on_device(run_.spec_of(record), device)) waiting.emplace(device, *record.ask.consumer);
    Duration round{0};
    for (const auto& [device, id] : waiting) {
      const TestConsumer& consumer = run_.test_machine.consumers[id.value];
      if (!consumer.lease_only)
        round += ms(consumer.load_ms + consumer.unload_ms) + kReadingDelay / kChangeRounds;
    }
    return std::max(kLeastBound, kChangeRounds * round);
  }

  const MachineRun& run_;
  const std::map<TicketId, TicketRecord>& records_;
  TicketId id_;
  const TicketRecord& own_record_;
  Place place_;
  Duration limit_{};
  std::optional<StepTime> first_overtaken_{};  // for the first time
  std::optional<Instant> bound_end_{};
  std::optional<TicketId> unfair_overtaker_{};
};

// How long one that is turnless may wait, where memory holds all: for its own consumer's, at the speed that
// all who compute at once leave to each, and for every load that there can be.
Duration turnless_wait_bound(const MachineRun& run, TicketId id) {
  const TicketRecord& own = run.recorder.tickets().at(id);
  const auto place = [&](TicketId ticket, const TicketRecord& record) {
    const int classes = run.test_machine.fifo ? 0 : static_cast<int>(run.class_of(record));
    return std::pair(record.arrived.at + ms(run.test_machine.ageing_ms) * classes, ticket);
  };
  Duration work{0}, loads{0};
  int at_once = 0;
  for (const TestConsumer& consumer : run.test_machine.consumers) {
    at_once += consumer.concurrency;
    loads += consumer.ai_models * (ms(consumer.load_ms) + kReadingDelay);
  }
  for (const auto& [other, record] : run.recorder.tickets()) {
    if (other == id || record.ask.consumer != own.ask.consumer) continue;
    const bool before = place(other, record) < place(id, own) &&
                        (!record.promised || record.promised->step >= own.arrived.step);
    if (before || is_under_way(record, own.arrived.step))
      work += run.outcome.jobs[other.value - 1].work + kReadingDelay;
  }
  return work * at_once + loads + kReadingDelay;
}

std::vector<TestRequest> without_users(std::vector<TestRequest> drawn) {
  for (TestRequest& request : drawn) request.user = 0;
  return drawn;
}
std::vector<RepeatingClients> without_users(std::vector<RepeatingClients> drawn) {
  for (RepeatingClients& each : drawn) each.request.user = 0;
  return drawn;
}

// Everybody is there at once. (Who needs no turn can't be exclusive.)
TestMachine with_room_for_all(TestMachine drawn) {
  for (TestConsumer& consumer : drawn.consumers) {
    consumer.footprint_gib = 1, consumer.working_gib = 0;
    consumer.exclusive = consumer.exclusive && !consumer.turnless;
  }
  return drawn;
}

TEST(Starvation, WhereMemoryHoldsAllThoseWithoutTurnsAndThoseWithKeepNobodyWaiting) {
  std::size_t long_turnless_waits = 0;
  const bool held = rc::check("turnless ones wait for their own consumer, nobody waits for them", [&] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), with_room_for_all);
    const auto requests = without_users(*arbitrary_requests());
    const auto repeating = without_users(*arbitrary_clients());
    const MachineRun run = run_machine(test_machine, requests, repeating, 60s);
    for (const auto& [id, record] : run.recorder.tickets()) {
      const std::string ticket_name = "ticket " + std::to_string(id.value);
      if (!record.granted) RC_FAIL(ticket_name + " never ran: " + run.outcome.first_refusal);
      const bool turnless = run.member_of(record).turnless;
      const Duration waited = record.granted->at - record.arrived.at;
      const Duration limit = turnless ? turnless_wait_bound(run, id) : WaitAnalysis(run, id).limit();
      long_turnless_waits += turnless && waited > 1s;
      if (waited > limit)
        RC_FAIL(ticket_name + " waited " + to_string(waited) + ", and " + to_string(limit) +
                " explain themselves");
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(long_turnless_waits, 100U) << "hardly anybody waited: these cases prove nothing";
}

TEST(Starvation, NobodyWaitsLongerThanTheBoundAllows) {
  std::size_t past_bound_count = 0;
  const bool held = rc::check("everybody's wait is bounded by what stood before them", [&] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), [](TestMachine drawn) {
      for (TestConsumer& consumer : drawn.consumers) consumer.turnless = false;
      return drawn;
    });
    // A user's share moves places: that is another property.
    const auto requests = without_users(*arbitrary_requests());
    const auto repeating = without_users(*arbitrary_clients());
    const MachineRun run = run_machine(test_machine, requests, repeating, 60s);
    for (const auto& [id, record] : run.recorder.tickets()) {
      const std::string ticket_name = "ticket " + std::to_string(id.value);
      const WaitAnalysis analysis(run, id);
      past_bound_count += analysis.waited_past_bound();
      if (!record.granted) RC_FAIL(ticket_name + " never ran: " + run.outcome.first_refusal);
      if (const auto other = analysis.unfair_overtaker())
        RC_FAIL(ticket_name + " was passed by " + std::to_string(other->value) + ", past its bound");
      const Duration waited = record.granted->at - record.arrived.at;
      if (waited > analysis.limit())
        RC_FAIL(ticket_name + " waited " + to_string(waited) + ", and " + to_string(analysis.limit()) +
                " explain themselves");
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(past_bound_count, 0U) << "nobody was ever kept waiting to the bound: these cases prove nothing";
}

}  // namespace
}  // namespace mgpu::sim
