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

#include "machine_run.h"
#include "scenario_generator.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

constexpr DeviceId kDevice{0};
constexpr Duration kReadingDelay = 10ms;  // that a change, or a start, waits for

struct StartEstimate {
  TicketId ticket{};
  Instant now{};
  Instant start{};
};

TEST(Estimates, AreNeverOfAMomentThatIsPast) {
  const bool held = rc::check("nobody is told of a start in the past", [] {
    const ScenarioPrefix scenario = draw_scenario();
    World world = scenario.world;
    for (const Event& event : scenario.events) {
      step(world, event);
      for (std::size_t i = 0; i < world.lines.size(); ++i)
        for (const auto& [id, at] : estimated_starts(world, DeviceId{i})) RC_ASSERT(at >= world.now);
    }
  });
  EXPECT_TRUE(held);
}

// One at a time, and it is known how long each job takes.
TestMachine single_job_machine(TestMachine test_machine) {
  test_machine.fifo = true, test_machine.devices = test_machine.capacity = 1;
  for (TestConsumer& consumer : test_machine.consumers) {
    consumer.concurrency = 1, consumer.turnless = consumer.lease_only = consumer.parks = false;
    consumer.run_ms = 400;
  }
  return test_machine;
}

// Of all that were told of their start after the last of them had come.
std::vector<StartEstimate> collect_estimates(const TestMachine& test_machine,
                                             std::vector<TestRequest> requests, MachineRun& run) {
  for (TestRequest& request : requests) request.work_ms = 400, request.at_ms /= 10;
  std::vector<StartEstimate> estimates;
  run = run_machine(test_machine, requests, {}, 10s, [&](const World& world) {
    const Statistics& so_far = world.lines[kDevice.value].statistics;
    if (so_far.total_jobs + so_far.queue_depth + so_far.in_flight < requests.size()) return;
    for (const auto& [id, at] : estimated_starts(world, kDevice)) estimates.push_back({id, world.now, at});
  });
  return estimates;
}

void assert_error_at_most(const StartEstimate& estimate, const MachineRun& run, Duration late,
                          Duration early) {
  const Instant granted = run.recorder.tickets().at(estimate.ticket).granted->at;
  if (granted <= estimate.start + late && estimate.start <= granted + early) return;
  RC_FAIL("ticket " + std::to_string(estimate.ticket.value) + " was to wait " +
          to_string(estimate.start - estimate.now) + ", and waited " + to_string(granted - estimate.now));
}

TEST(Estimates, AreRightWhereNobodyHasToLeave) {
  std::size_t checked = 0;
  const bool held = rc::check("with memory for all, an estimate is right to a quarter of a job", [&] {
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
  EXPECT_TRUE(held);
  EXPECT_GT(checked, 0U);
}

TEST(Estimates, AreWrongByTheChangesOfThoseBeforeAtMost) {
  std::size_t checked = 0;
  const bool held = rc::check("an estimate may guess changes of residents wrong, but no work", [&] {
    const auto test_machine = *rc::gen::map(arbitrary_machine(), single_job_machine);
    const int unload_ms =
        std::ranges::max_element(test_machine.consumers, {}, &TestConsumer::unload_ms)->unload_ms;
    MachineRun run;
    for (const StartEstimate& estimate : collect_estimates(test_machine, *arbitrary_requests(), run)) {
      Duration changes{0};
      for (const auto& [id, record] : run.recorder.tickets())
        if (id <= estimate.ticket && record.granted->at > estimate.now)
          changes += std::chrono::milliseconds{run.member_of(record).load_ms + unload_ms} + kReadingDelay;
      assert_error_at_most(estimate, run, changes + kReadingDelay, changes + 100ms + kReadingDelay);
      ++checked;
    }
  });
  EXPECT_TRUE(held);
  EXPECT_GT(checked, 0U);
}

}  // namespace
}  // namespace mgpu::sim
