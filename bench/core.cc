// mgpu-bench-core: measures how many events per second step() handles on one CPU core, with a line of
// constantly 1,000 tickets. Half of the events are releases, each of which grants the next ticket; half are
// arrivals. Capacity is 1, every consumer is warm. Prints one line of JSON for each policy and number of
// consumers.
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <variant>
#include <vector>

#include "base/assert.h"
#include "sched/step.h"

namespace mgpu {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t kWaitingTickets = 1'000;
constexpr std::uint64_t kEvents = 1'000'000;
constexpr int kRounds = 3;
constexpr std::uint64_t kJobsPerReading = 1'000;  // a reading shows their returned memory free

ReadingTaken make_reading(Instant taken_at, std::uint64_t consumers) {
  Reading reading{.taken_at = taken_at, .total = kGiB * 80};
  for (std::uint64_t i = 0; i < consumers; ++i)
    reading.consumers.push_back({.consumer = ConsumerId{i}, .bytes = kMiB * 200});
  return {reading};
}

World make_world(std::uint64_t consumers, Policy policy) {
  World world;
  world.limits.policy = policy;
  const DeviceId device = add_device(world, {.name = "gpu0", .reserve = kMiB * 512});
  for (std::uint64_t i = 0; i < consumers; ++i) {
    const ConsumerId id = add_consumer(world.registry, {.name = "consumer" + std::to_string(i),
                                                        .device = device,
                                                        .footprint = kMiB * 200,
                                                        .working = kMiB * 20,
                                                        .can_unload = true});
    const ResidentId resident = add_resident(world.registry, id, "", kMiB * 200);
    world.registry[resident].state = Residency::warm;
  }
  step(world, {.at = {1}, .payload = make_reading({1}, consumers)});
  return world;
}

class StepBenchmark {
 public:
  StepBenchmark(std::uint64_t consumers, Policy policy)
      : world_(make_world(consumers, policy)), consumers_(consumers) {
    for (std::uint64_t i = 0; i < kWaitingTickets + 1; ++i) add_ticket();
    MGPU_ASSERT(running_ticket_.value > 0 && world_.lines[0].statistics.queue_depth == kWaitingTickets,
                "one lease runs and kWaitingTickets tickets wait");
  }

  // `after_step` is called with the world after every arrival and release.
  template <class AfterStep>
  double measure_events_per_second(AfterStep after_step) {
    const auto before = Clock::now();
    for (std::uint64_t i = 0; i < kEvents / 2; ++i) {
      release_lease();
      after_step(world_);
      add_ticket();
      after_step(world_);
      if (i % kJobsPerReading == 0) run_step(make_reading({++now_}, consumers_));
    }
    const std::chrono::duration<double> elapsed = Clock::now() - before;
    MGPU_ASSERT(world_.lines[0].statistics.queue_depth == kWaitingTickets,
                "each release grants the next ticket");
    return static_cast<double>(kEvents) / elapsed.count();
  }

 private:
  void run_step(EventPayload payload) {
    const Effects effects = step(world_, {.at = {++now_}, .payload = std::move(payload)});
    for (const Effect& effect : effects)
      if (const auto* grant = std::get_if<Grant>(&effect)) running_ticket_ = grant->ticket;
  }
  void add_ticket() {
    const TicketId ticket{++last_ticket_};
    const std::uint64_t consumer = ticket.value % consumers_;
    run_step(TicketArrived{
        .ticket = ticket,
        .request = {
            .device = DeviceId{0}, .consumer = ConsumerId{consumer}, .resident = ResidentId{consumer}}});
  }
  void release_lease() { run_step(LeaseReleased{running_ticket_}); }

  World world_;
  std::uint64_t consumers_;
  std::int64_t now_ = 1;
  std::uint64_t last_ticket_ = 0;
  TicketId running_ticket_{};
};

// The sorted times of single steps, including that of reading the clock.
std::vector<double> measure_step_microseconds(StepBenchmark& benchmark) {
  std::vector<double> step_times;
  auto before = Clock::now();
  benchmark.measure_events_per_second([&](const World&) {
    const auto now = Clock::now();
    step_times.push_back(std::chrono::duration<double, std::micro>(now - before).count());
    before = Clock::now();
  });
  std::ranges::sort(step_times);
  return step_times;
}

// Rates are the best of kRounds, since other processes can only slow a round down.
void print_measurements(std::uint64_t consumers, Policy policy) {
  double step_rate = 0, step_and_wakeup_rate = 0;
  StepBenchmark benchmark(consumers, policy);
  std::int64_t sink = 0;
  for (int round = 0; round < kRounds; ++round) {
    step_rate = std::max(step_rate, benchmark.measure_events_per_second([](const World&) {}));
    step_and_wakeup_rate = std::max(
        step_and_wakeup_rate,
        benchmark.measure_events_per_second([&](const World& world) { sink ^= next_wakeup(world).us; }));
  }
  const std::vector<double> step_times = measure_step_microseconds(benchmark);
  const auto percentile = [&](double share) {
    return step_times[static_cast<std::size_t>(share * static_cast<double>(step_times.size()))];
  };
  std::printf(
      "{\"policy\": \"%s\", \"consumers\": %llu, \"waiting\": %llu, \"step\": %.0f, "
      "\"step_and_next_wakeup\": %.0f, \"step_p50_us\": %.2f, \"step_p99_us\": %.2f}\n",
      policy == Policy::fifo ? "fifo" : "affinity", static_cast<unsigned long long>(consumers),
      static_cast<unsigned long long>(kWaitingTickets), step_rate, step_and_wakeup_rate, percentile(0.5),
      percentile(0.99));
  MGPU_ASSERT(sink != 1, "the result of next_wakeup is used, so that the compiler keeps the call");
}

}  // namespace
}  // namespace mgpu

int main() {
  for (const mgpu::Policy policy : {mgpu::Policy::fifo, mgpu::Policy::affinity}) {
    mgpu::print_measurements(10, policy);
    mgpu::print_measurements(100, policy);
  }
}
