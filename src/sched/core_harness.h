// Test fixtures of the core: a world whose invariants are checked after each event.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sched/step.h"

namespace mgpu {

using namespace std::chrono_literals;

// A reading of a device of 24 GiB that shows every warm resident at its footprint.
inline Reading reading_of_warm_residents(const World& world, DeviceId device, Instant taken_at,
                                         Bytes foreign = {}) {
  Reading reading{.device = device, .taken_at = taken_at, .total = kGiB * 24, .foreign = foreign};
  for (std::size_t i = 0; i < world.registry.consumers.size(); ++i) {
    const ConsumerState& consumer = world.registry.consumers[i];
    Bytes total{};
    for (const ResidentId id : consumer.residents)
      if (world.registry[id].state == Residency::warm) total += world.registry[id].footprint;
    if (const Bytes bytes = device_part(consumer.spec, device, total); bytes > Bytes{})
      reading.consumers.push_back({ConsumerId{i}, bytes});
  }
  return reading;
}

struct CheckedWorld {
  World world;

  Effects apply_event(EventPayload payload, Duration later = 1ms) {
    Effects effects = step(world, {.at = world.now + later, .payload = std::move(payload)});
    EXPECT_EQ(broken_invariant(world), "");
    return effects;
  }
  ResidentId resident_of(ConsumerId id) { return world.registry[id].residents.at(0); }
};

// A world with one device of 24 GiB. The test answers loads and evictions, and decides when a reading is
// taken.
struct CoreHarness : CheckedWorld {
  DeviceId gpu;
  Bytes foreign{};
  std::uint64_t last_ticket = 0;

  explicit CoreHarness(std::uint32_t capacity = 1, Policy policy = Policy::fifo)
      : gpu(add_device(world, {.name = "gpu0", .capacity = capacity})) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    report_reading();
  }

  // It was loaded before, so it may be loaded ahead.
  ConsumerId create_consumer(Consumer spec) {
    spec.can_stop = true;
    const ConsumerId id = add_consumer(world.registry, spec);
    if (!spec.lease_only)
      world.registry[add_resident(world.registry, id, "", spec.footprint)].costs.loads = 1;
    return id;
  }
  Residency state_of(ConsumerId id) { return world.registry[resident_of(id)].state; }

  Effects report_reading() {
    return apply_event(ReadingTaken{reading_of_warm_residents(world, gpu, world.now + 1ms, foreign)});
  }
  std::pair<TicketId, Effects> submit_ticket(ConsumerId id, Duration wait_limit = 0ms) {
    return submit_ticket(id, TicketRequest{.wait_limit = wait_limit});
  }
  std::pair<TicketId, Effects> submit_ticket(ConsumerId id, TicketRequest request) {
    const TicketId ticket{++last_ticket};
    request.device = gpu, request.consumer = id;
    if (!world.registry[id].residents.empty()) request.resident = resident_of(id);
    return {ticket, apply_event(TicketArrived{ticket, request})};
  }
  // Loads the consumer's resident and leaves it idle.
  void make_warm(ConsumerId id) {
    const auto [ticket, effects] = submit_ticket(id);
    apply_event(LoadEnded{resident_of(id)});
    apply_event(LeaseReleased{ticket});
    report_reading();
  }
};

template <class T>
std::vector<T> effects_of(const Effects& effects) {
  std::vector<T> found;
  for (const Effect& effect : effects)
    if (const T* match = std::get_if<T>(&effect)) found.push_back(*match);
  return found;
}

template <class T>
const T* find_effect(const Effects& effects) {
  for (const Effect& effect : effects)
    if (const T* match = std::get_if<T>(&effect)) return match;
  return nullptr;
}

inline bool is_granted(const Effects& effects, TicketId ticket) {
  return std::ranges::any_of(effects_of<Grant>(effects),
                             [&](const Grant& grant) { return grant.ticket == ticket; });
}

}  // namespace mgpu
