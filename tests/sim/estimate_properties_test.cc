// Properties of estimated starts.
//
// They are never in the past, whatever fails. Under fifo with one turn the order is known: if jobs take their
// expected time and no tickets arrive, the error of an estimate is at most
//
//   a quarter of a job     an overdue job is expected to run that much longer (sched/start_estimate.cc)
// + the changes of residents of the ticket and those before it, because their evictions are only estimated
//
// and if memory holds all consumers, at most that quarter of a job.
#include <algorithm>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "sched/start_estimate.h"
#include "sched/step.h"

#include "machine_run.h"
#include "scenario_generator.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

constexpr DeviceId kDevice{0};
constexpr Duration kReadingDelay = 10ms;  // of the readings that a change or a start waits for

struct StartEstimate {
  TicketId ticket{};
  Instant now{};
  Instant start{};
};

TEST(Estimates, AreNeverInThePast) {
  const bool holds = rc::check("an estimated start is never in the past", [] {
    const ScenarioPrefix scenario = draw_scenario();
    World world = scenario.world;
    for (const Event& event : scenario.events) {
      step(world, event);
      for (std::size_t i = 0; i < world.lines.size(); ++i)
        for (const auto& [id, at] : estimated_starts(world, DeviceId{i})) RC_ASSERT(at >= world.now);
    }
  });
  EXPECT_TRUE(holds);
}

// One job at a time, each of the same known duration.
TestMachine single_job_machine(TestMachine test_machine) {
  test_machine.fifo = true, test_machine.devices = test_machine.capacity = 1;
  for (TestConsumer& consumer : test_machine.consumers) {
    consumer.concurrency = 1, consumer.turnless = consumer.lease_only = consumer.parks = false;
    consumer.run_ms = 400;
  }
  return test_machine;
}

// All estimates after the last arrival.
std::vector<StartEstimate> collect_estimates(const TestMachine& test_machine,
                                             std::vector<TestRequest> requests, MachineRun& run) {
  for (TestRequest& request : requests) request.work_ms = 400, request.at_ms /= 10;
  std::vector<StartEstimate> estimates;
  run = run_machine(test_machine, requests, {}, 10s, [&](const World& world) {
    const Statistics& statistics = world.lines[kDevice.value].statistics;
    if (statistics.total_jobs + statistics.queue_depth + statistics.in_flight < requests.size()) return;
    for (const auto& [id, at] : estimated_starts(world, kDevice)) estimates.push_back({id, world.now, at});
  });
  return estimates;
}

void assert_error_at_most(const StartEstimate& estimate, const MachineRun& run, Duration max_late,
                          Duration max_early) {
  const Instant granted = run.recorder.tickets().at(estimate.ticket).granted->at;
  if (granted <= estimate.start + max_late && estimate.start <= granted + max_early) return;
  RC_FAIL("ticket " + std::to_string(estimate.ticket.value) + " was estimated to wait " +
          to_string(estimate.start - estimate.now) + ", but waited " + to_string(granted - estimate.now));
}

TEST(Estimates, AreRightIfNothingIsEvicted) {
  std::size_t checked = 0;
  const bool holds = rc::check("with memory for all, the error is at most a quarter of a job", [&] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), [](const TestMachine& drawn) {
      TestMachine test_machine = single_job_machine(drawn);
      for (TestConsumer& consumer : test_machine.consumers)
        consumer.footprint_gib = 1 + consumer.footprint_gib % 2, consumer.working_gib = 0,
        consumer.ai_models = 1;
      return test_machine;
    });
    MachineRun run;
    for (const StartEstimate& estimate : collect_estimates(test_machine, *arbitrary_requests(), run)) {
      assert_error_at_most(estimate, run, kReadingDelay, 100ms + kReadingDelay);
      ++checked;
    }
  });
  EXPECT_TRUE(holds);
  EXPECT_GT(checked, 0U);
}

TEST(Estimates, AreWrongAtMostByTheChangesOfTheTicketsBefore) {
  std::size_t checked = 0;
  const bool holds = rc::check("changes of residents may be estimated wrong, but not work", [&] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), single_job_machine);
    const int unload_ms =
        std::ranges::max_element(test_machine.consumers, {}, &TestConsumer::unload_ms)->unload_ms;
    MachineRun run;
    for (const StartEstimate& estimate : collect_estimates(test_machine, *arbitrary_requests(), run)) {
      Duration changes{0};
      for (const auto& [id, record] : run.recorder.tickets())
        if (id <= estimate.ticket && record.granted->at > estimate.now)
          changes += std::chrono::milliseconds{run.consumer_of(record).load_ms + unload_ms} + kReadingDelay;
      assert_error_at_most(estimate, run, changes + kReadingDelay, changes + 100ms + kReadingDelay);
      ++checked;
    }
  });
  EXPECT_TRUE(holds);
  EXPECT_GT(checked, 0U);
}

}  // namespace
}  // namespace mgpu::sim
