// The world that the stories of the core are told in.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "sched/step.h"

namespace mgpu {

using namespace std::chrono_literals;

// A 24 GiB device whose services do as they are told: loads and evictions are answered, and readings show it,
// when the story says so.
struct Home {
  World world;
  DeviceId gpu;
  Bytes foreign{};
  std::uint64_t last_ticket = 0;

  explicit Home(std::uint32_t capacity = 1, Policy policy = Policy::fifo)
      : gpu(add_device(world, {.name = "gpu0", .capacity = capacity})) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    read();
  }

  ConsumerId consumer(Consumer spec) {
    spec.can_stop = true;
    const ConsumerId id = add_consumer(world.registry, spec);
    if (!spec.lease_only) add_resident(world.registry, id, "", spec.footprint);
    return id;
  }
  ResidentId resident(ConsumerId id) { return world.registry[id].residents.at(0); }
  Residency state(ConsumerId id) { return world.registry[resident(id)].state; }

  Effects happens(EventPayload what, Duration later = 1ms) {
    Effects effects = step(world, {.at = world.now + later, .payload = std::move(what)});
    EXPECT_EQ(broken_invariant(world), "");
    return effects;
  }
  // A reading that shows every resident that is in memory at its footprint.
  Effects read() {
    Reading reading{.device = gpu, .taken_at = world.now + 1ms, .total = kGiB * 24, .foreign = foreign};
    for (std::size_t i = 0; i < world.registry.consumers.size(); ++i) {
      Bytes bytes{};
      for (const ResidentId id : world.registry.consumers[i].residents)
        if (const auto s = world.registry[id].state; s == Residency::warm)
          bytes += world.registry[id].footprint;
      if (bytes > Bytes{}) reading.consumers.push_back({ConsumerId{i}, bytes});
    }
    return happens(ReadingTaken{reading});
  }
  std::pair<TicketId, Effects> asks(ConsumerId id, Duration wait_limit = 0ms) {
    return asks(id, TicketRequest{.wait_limit = wait_limit});
  }
  std::pair<TicketId, Effects> asks(ConsumerId id, TicketRequest ask) {
    const TicketId ticket{++last_ticket};
    ask.device = gpu, ask.consumer = id;
    if (!world.registry[id].residents.empty()) ask.resident = resident(id);
    return {ticket, happens(TicketArrived{ticket, ask})};
  }
  // Brings a consumer to warm and idle.
  void warm(ConsumerId id) {
    const auto [ticket, effects] = asks(id);
    happens(LoadEnded{resident(id)});
    happens(LeaseReleased{ticket});
    read();
  }
};

template <class T>
std::vector<T> all(const Effects& effects) {
  std::vector<T> found;
  for (const Effect& effect : effects)
    if (const T* one = std::get_if<T>(&effect)) found.push_back(*one);
  return found;
}

template <class T>
const T* the(const Effects& effects) {
  for (const Effect& effect : effects)
    if (const T* one = std::get_if<T>(&effect)) return one;
  return nullptr;
}

inline bool granted(const Effects& effects, TicketId ticket) {
  return std::ranges::any_of(all<Grant>(effects), [&](const Grant& g) { return g.ticket == ticket; });
}

}  // namespace mgpu
