// Properties: tickets that may not overtake each other are served in the order of arrival.
#include <map>
#include <optional>
#include <string>
#include <tuple>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "machine_run.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

std::string ticket_label(TicketId id) { return "ticket " + std::to_string(id.value); }

// Tickets of one group are promised their turns in the order of arrival. The order within one step is not
// visible, so it is not checked.
template <class GroupOf>
void assert_promised_by_arrival(const MachineRun& run, GroupOf group_of,
                                std::optional<DeviceId> on = std::nullopt) {
  std::map<decltype(group_of(TicketRecord{})), std::pair<TicketId, StepTime>> latest;
  for (const auto& [id, record] : run.recorder.tickets()) {
    if (!record.promised || (on && !is_on_device(run.spec_of(record), *on))) continue;
    const auto [before, first] = latest.try_emplace(group_of(record), id, *record.promised);
    if (!first && record.promised->step < before->second.second.step)
      RC_FAIL(ticket_label(id) + " was promised its turn before " + ticket_label(before->second.first));
    before->second = {id, *record.promised};
  }
}

template <class GroupOf>
void assert_granted_by_arrival(const MachineRun& run, GroupOf group_of) {
  std::map<decltype(group_of(TicketRecord{})), TicketId> latest;
  for (const TicketId id : run.recorder.grants()) {
    TicketId& before = latest[group_of(run.recorder.tickets().at(id))];
    if (id < before) RC_FAIL(ticket_label(id) + " was granted after " + ticket_label(before));
    before = id;
  }
}

MachineRun run_arbitrary_requests(const TestMachine& test_machine) {
  const auto requests = *arbitrary_requests();
  const auto repeating = *arbitrary_clients();
  return run_machine(test_machine, requests, repeating, 30s);
}

// Under both policies, with any capacity and concurrency. Grants are compared for one AI model only, because
// the loads of two may end in another order.
TEST(Order, WithinOneConsumerClassAndUserIsThatOfArrival) {
  const bool holds = rc::check("first come, first served within one consumer, class and user", [] {
    const MachineRun run = run_arbitrary_requests(*arbitrary_machine());
    assert_promised_by_arrival(run, [&](const TicketRecord& record) { return run.fifo_group_of(record); });
    assert_granted_by_arrival(run, [&](const TicketRecord& record) {
      return std::pair(run.fifo_group_of(record), record.request.resident);
    });
  });
  EXPECT_TRUE(holds);
}

TEST(Order, UnderFifoIsThatOfArrivalOverTheWholeDevice) {
  const bool holds = rc::check("first come, first served", [] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), [](TestMachine drawn) {
      drawn.fifo = true;
      for (TestConsumer& consumer : drawn.consumers) consumer.turnless = false;  // they wait for no turn
      return drawn;
    });
    const MachineRun run = run_arbitrary_requests(test_machine);
    for (const DeviceId device : {DeviceId{0}, DeviceId{1}})
      assert_promised_by_arrival(run, [](const TicketRecord&) { return 0; }, device);
  });
  EXPECT_TRUE(holds);
}

TEST(Order, UnderFifoWithOneTurnAndOneLeaseAtATimeIsThatOfAMutex) {
  const bool holds = rc::check("one after the other, in the order of arrival", [] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), [](TestMachine drawn) {
      drawn.fifo = true, drawn.devices = drawn.capacity = 1;
      for (TestConsumer& consumer : drawn.consumers) consumer.turnless = false, consumer.concurrency = 1;
      return drawn;
    });
    const MachineRun run = run_arbitrary_requests(test_machine);
    assert_granted_by_arrival(run, [](const TicketRecord&) { return 0; });
    Instant free_since{};
    for (const TicketId id : run.recorder.grants()) {
      const TicketRecord& record = run.recorder.tickets().at(id);
      RC_ASSERT(record.granted->at >= free_since);
      free_since = record.released->at;
    }
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace mgpu::sim
