// mgpu-bench-core: events a second that step() handles on one core, with a line of 1,000 tickets that never
// gets shorter. Half of the events are releases, each of which grants the next ticket; half are arrivals.
// Capacity is 1, every consumer is warm. Prints one line of JSON for each number of consumers.
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

constexpr std::uint64_t kWaiting = 1'000;
constexpr std::uint64_t kEvents = 1'000'000;
constexpr int kRounds = 3;
constexpr std::uint64_t kBetweenReadings =
    1'000;  // jobs; what they gave back wants to be seen free now and then

ReadingTaken reading_at(Instant taken, std::uint64_t consumers) {
  Reading reading{.taken_at = taken, .total = kGiB * 80};
  for (std::uint64_t i = 0; i < consumers; ++i)
    reading.consumers.push_back({.consumer = ConsumerId{i}, .bytes = kMiB * 200});
  return {reading};
}

World world_with(std::uint64_t consumers, Policy policy) {
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
  step(world, {.at = {1}, .payload = reading_at({1}, consumers)});
  return world;
}

// One life of the daemon: `also` is called after every step, with the world.
class Life {
 public:
  Life(std::uint64_t consumers, Policy policy)
      : world_(world_with(consumers, policy)), consumers_(consumers) {
    for (std::uint64_t i = 0; i < kWaiting + 1; ++i) arrive();
    MGPU_ASSERT(running_.value > 0 && world_.lines[0].statistics.queue_depth == kWaiting,
                "the line is full and somebody computes");
  }

  template <class Also>
  double events_per_second(Also also) {
    const auto before = Clock::now();
    for (std::uint64_t i = 0; i < kEvents / 2; ++i) {
      release();
      also(world_);
      arrive();
      also(world_);
      if (i % kBetweenReadings == 0) hand_over(reading_at({++now_}, consumers_));
    }
    const std::chrono::duration<double> took = Clock::now() - before;
    MGPU_ASSERT(world_.lines[0].statistics.queue_depth == kWaiting, "each release granted the next ticket");
    return static_cast<double>(kEvents) / took.count();
  }

 private:
  void hand_over(EventPayload what) {
    const Effects effects = step(world_, {.at = {++now_}, .payload = std::move(what)});
    for (const Effect& effect : effects)
      if (const auto* grant = std::get_if<Grant>(&effect)) running_ = grant->ticket;
  }
  void arrive() {
    const TicketId ticket{++last_ticket_};
    const std::uint64_t who = ticket.value % consumers_;
    hand_over(TicketArrived{
        .ticket = ticket,
        .request = {.device = DeviceId{0}, .consumer = ConsumerId{who}, .resident = ResidentId{who}}});
  }
  void release() { hand_over(LeaseReleased{running_}); }

  World world_;
  std::uint64_t consumers_;
  std::int64_t now_ = 1;
  std::uint64_t last_ticket_ = 0;
  TicketId running_{};
};

// The time of single steps, the clock's own included.
std::vector<double> microseconds_of_steps(Life& life) {
  std::vector<double> took;
  auto before = Clock::now();
  life.events_per_second([&](const World&) {
    const auto now = Clock::now();
    took.push_back(std::chrono::duration<double, std::micro>(now - before).count());
    before = Clock::now();
  });
  std::ranges::sort(took);
  return took;
}

// The best of a few rounds: what disturbs a round comes from outside.
void measure(std::uint64_t consumers, Policy policy) {
  double alone = 0, with_wakeup = 0;
  Life life(consumers, policy);
  std::int64_t sink = 0;
  for (int round = 0; round < kRounds; ++round) {
    alone = std::max(alone, life.events_per_second([](const World&) {}));
    with_wakeup = std::max(
        with_wakeup, life.events_per_second([&](const World& world) { sink ^= next_wakeup(world).us; }));
  }
  const std::vector<double> took = microseconds_of_steps(life);
  const auto at = [&](double share) {
    return took[static_cast<std::size_t>(share * static_cast<double>(took.size()))];
  };
  std::printf(
      "{\"policy\": \"%s\", \"consumers\": %llu, \"waiting\": %llu, \"step\": %.0f, "
      "\"step_and_next_wakeup\": %.0f, \"step_p50_us\": %.2f, \"step_p99_us\": %.2f}\n",
      policy == Policy::fifo ? "fifo" : "affinity", static_cast<unsigned long long>(consumers),
      static_cast<unsigned long long>(kWaiting), alone, with_wakeup, at(0.5), at(0.99));
  MGPU_ASSERT(sink != 1, "the compiler keeps next_wakeup");
}

}  // namespace
}  // namespace mgpu

int main() {
  for (const mgpu::Policy policy : {mgpu::Policy::fifo, mgpu::Policy::affinity}) {
    mgpu::measure(10, policy);
    mgpu::measure(100, policy);
  }
}
