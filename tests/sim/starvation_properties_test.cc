// Properties: no ticket starves, whatever arrives after it.
//
// A ticket waits for the tickets that are due before it, and for the turns in progress when it arrived. When
// it is first overtaken by a ticket that is due later, further tickets may overtake it until its overtake
// bound. After that it waits only for the turns in progress then, and on each of its devices for one ticket
// whose resident was loaded ahead. With turn = change of residents + work:
//
//   wait <= turns of the tickets that are due before it
//         + turns in progress when it arrived
//         + one change of residents (a load that had started ahead of a turn)
//         + if it was overtaken: bound + turns in progress at its end + turns of tickets loaded ahead
//         + its own change of residents
//
// The bound is overtake_limit, or else the larger of 10 s and three rounds of changes for all consumers that
// wait on its devices when it is first overtaken (sched/line_order.h). Under fifo it is never overtaken. A
// ticket is due at its arrival, or later by its class times limits.ageing; so more urgent tickets that arrive
// after it are due before it only for a limited time. Concurrent jobs share the device's speed, so together
// they take the sum of their work. A split ticket that is due before may hold its place on one device while
// turns on the other continue.
//
// A turnless ticket waits for the earlier tickets of its own consumer, and for loads, since a device has one
// at a time. It does not wait for turns, and turns do not wait for it. But concurrent jobs still slow each
// other down.
//
// Not covered, because there is no bound: how turnless tickets and turns delay each other if memory does not
// hold all consumers.
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

constexpr Duration kMinBound = 10s;
constexpr int kChangeRounds = 3;
constexpr Duration kLongestWork = 3s;      // of arbitrary_request
constexpr Duration kReadingDelay = 120ms;  // of the readings that a change of residents waits for

Duration ms(int count) { return std::chrono::milliseconds{count}; }

bool is_under_way(const TicketRecord& record, std::uint64_t step) {
  return record.promised && record.promised->step < step &&
         (!record.released || record.released->step > step);
}
bool is_under_way(const TicketRecord& record, Instant at) {
  return record.promised && record.promised->at <= at && (!record.released || record.released->at > at);
}

// Computes from the recorded tickets how long one of them may wait.
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
  // A ticket that overtook it against the rules.
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
    return change_time(run_.consumer_of(record).load_ms) + run_.outcome.jobs[id.value - 1].work;
  }

  int turnless_concurrency() const {
    int count = 0;
    for (const TestConsumer& consumer : run_.test_machine.consumers)
      if (consumer.turnless) count += consumer.concurrency;
    return count;
  }
  // Each is loaded once, because memory holds all.
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
             change_time(run_.consumer_of(own_record_).load_ms);
    for (const auto& [id, record] : records_) {
      if (id == id_ || run_.consumer_of(record).turnless) continue;
      if (may_wait_on_other_device(id, record)) limit_ += longest_work_on_other_device();
      const bool is_due_before = place_of(id, record) < place_;
      if (is_under_way(record, own_record_.arrived.step) ||
          (is_due_before && (!record.promised || record.promised->step >= own_record_.arrived.step)))
        limit_ += turn_time(id, record);
      if (is_due_before || !was_promised_meanwhile(record) || !run_.share_device(own_record_, record))
        continue;
      if (run_.test_machine.fifo) unfair_overtaker_ = id;
      if (!first_overtaken_ || record.promised->step < first_overtaken_->step)
        first_overtaken_ = record.promised;
    }
  }

  // A split ticket that is due before may block a turn on this device while it waits for its other device.
  bool may_wait_on_other_device(TicketId id, const TicketRecord& record) const {
    if (run_.test_machine.fifo || run_.devices_of(record).size() < 2 ||
        !run_.share_device(own_record_, record))
      return false;
    return place_of(id, record) < place_ &&
           (!record.promised || record.promised->step >= own_record_.arrived.step);
  }
  Duration longest_work_on_other_device() const {
    Duration longest{0};
    int concurrent_jobs = 0;
    for (const TestConsumer& consumer : run_.test_machine.consumers) {
      longest = std::max(longest, change_time(consumer.load_ms) + kLongestWork);
      concurrent_jobs = std::max(concurrent_jobs, consumer.concurrency * run_.test_machine.capacity);
    }
    return concurrent_jobs * longest;
  }

  void add_turns_past_bound() {
    const Duration bound = overtake_bound(*first_overtaken_);
    bound_end_ = first_overtaken_->at + bound;
    limit_ += bound;
    std::size_t loaded_ahead = 0;
    for (const auto& [id, record] : records_) {
      if (id == id_ || !record.promised || place_of(id, record) < place_) continue;
      if (run_.consumer_of(record).turnless) continue;
      const bool is_past_bound = was_promised_meanwhile(record) && record.promised->at > *bound_end_ &&
                                 run_.share_device(own_record_, record);
      if (is_past_bound || is_under_way(record, *bound_end_)) limit_ += turn_time(id, record);
      if (!is_past_bound) continue;
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
          if (is_on_device(run_.spec_of(record), device)) waiting.emplace(device, *record.request.consumer);
    Duration round{0};
    for (const auto& [device, id] : waiting) {
      const TestConsumer& consumer = run_.test_machine.consumers[id.value];
      if (!consumer.lease_only)
        round += ms(consumer.load_ms + consumer.unload_ms) + kReadingDelay / kChangeRounds;
    }
    return std::max(kMinBound, kChangeRounds * round);
  }

  const MachineRun& run_;
  const std::map<TicketId, TicketRecord>& records_;
  TicketId id_;
  const TicketRecord& own_record_;
  Place place_;
  Duration limit_{};
  std::optional<StepTime> first_overtaken_{};
  std::optional<Instant> bound_end_{};
  std::optional<TicketId> unfair_overtaker_{};
};

// How long a turnless ticket may wait if memory holds all: for the earlier tickets of its consumer, which run
// at the speed that all concurrent jobs share, and for one load of each resident.
Duration turnless_wait_bound(const MachineRun& run, TicketId id) {
  const TicketRecord& own = run.recorder.tickets().at(id);
  const auto place = [&](TicketId ticket, const TicketRecord& record) {
    const int class_index = run.test_machine.fifo ? 0 : static_cast<int>(run.class_of(record));
    return std::pair(record.arrived.at + ms(run.test_machine.ageing_ms) * class_index, ticket);
  };
  Duration work{0}, loads{0};
  int concurrent_jobs = 0;
  for (const TestConsumer& consumer : run.test_machine.consumers) {
    concurrent_jobs += consumer.concurrency;
    loads += consumer.ai_models * (ms(consumer.load_ms) + kReadingDelay);
  }
  for (const auto& [other, record] : run.recorder.tickets()) {
    if (other == id || record.request.consumer != own.request.consumer) continue;
    const bool is_before = place(other, record) < place(id, own) &&
                           (!record.promised || record.promised->step >= own.arrived.step);
    if (is_before || is_under_way(record, own.arrived.step))
      work += run.outcome.jobs[other.value - 1].work + kReadingDelay;
  }
  return work * concurrent_jobs + loads + kReadingDelay;
}

std::vector<TestRequest> without_users(std::vector<TestRequest> drawn) {
  for (TestRequest& request : drawn) request.user = 0;
  return drawn;
}
std::vector<RepeatingClients> without_users(std::vector<RepeatingClients> drawn) {
  for (RepeatingClients& clients : drawn) clients.request.user = 0;
  return drawn;
}

// Memory holds all residents. (A turnless consumer can't be exclusive.)
TestMachine with_room_for_all(TestMachine drawn) {
  for (TestConsumer& consumer : drawn.consumers) {
    consumer.footprint_gib = 1, consumer.working_gib = 0;
    consumer.exclusive = consumer.exclusive && !consumer.turnless;
  }
  return drawn;
}

TEST(Starvation, IfMemoryHoldsAllTurnlessTicketsAndTurnsDoNotDelayEachOther) {
  std::size_t long_turnless_waits = 0;
  const bool holds = rc::check("turnless tickets wait only for their own consumer, and delay no turn", [&] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), with_room_for_all);
    const auto requests = without_users(*arbitrary_requests());
    const auto repeating = without_users(*arbitrary_clients());
    const MachineRun run = run_machine(test_machine, requests, repeating, 60s);
    for (const auto& [id, record] : run.recorder.tickets()) {
      const std::string ticket_name = "ticket " + std::to_string(id.value);
      if (!record.granted) RC_FAIL(ticket_name + " never ran: " + run.outcome.first_refusal);
      const bool is_turnless = run.consumer_of(record).turnless;
      const Duration waited = record.granted->at - record.arrived.at;
      const Duration limit = is_turnless ? turnless_wait_bound(run, id) : WaitAnalysis(run, id).limit();
      long_turnless_waits += is_turnless && waited > 1s;
      if (waited > limit)
        RC_FAIL(ticket_name + " waited " + to_string(waited) + ", longer than the bound of " +
                to_string(limit));
    }
  });
  EXPECT_TRUE(holds);
  EXPECT_GT(long_turnless_waits, 100U) << "too few tickets waited for the property to be tested";
}

TEST(Starvation, EveryWaitIsBounded) {
  std::size_t past_bound_count = 0;
  const bool holds = rc::check("every wait is bounded by what is before the ticket", [&] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), [](TestMachine drawn) {
      for (TestConsumer& consumer : drawn.consumers) consumer.turnless = false;
      return drawn;
    });
    // Shares of users change the places in the line; that is not covered by this property.
    const auto requests = without_users(*arbitrary_requests());
    const auto repeating = without_users(*arbitrary_clients());
    const MachineRun run = run_machine(test_machine, requests, repeating, 60s);
    for (const auto& [id, record] : run.recorder.tickets()) {
      const std::string ticket_name = "ticket " + std::to_string(id.value);
      const WaitAnalysis analysis(run, id);
      past_bound_count += analysis.waited_past_bound();
      if (!record.granted) RC_FAIL(ticket_name + " never ran: " + run.outcome.first_refusal);
      if (const auto other = analysis.unfair_overtaker())
        RC_FAIL(ticket_name + " was overtaken by ticket " + std::to_string(other->value) + " past its bound");
      const Duration waited = record.granted->at - record.arrived.at;
      if (waited > analysis.limit())
        RC_FAIL(ticket_name + " waited " + to_string(waited) + ", longer than the bound of " +
                to_string(analysis.limit()));
    }
  });
  EXPECT_TRUE(holds);
  EXPECT_GT(past_bound_count, 0U) << "no ticket waited past its bound, so the property was not tested";
}

}  // namespace
}  // namespace mgpu::sim
