// A device of 24 GiB whose life is written into a journal, for tests: time passes only where the story says
// so.
#pragma once

#include <deque>
#include <string>

#include "base/assert.h"
#include "domain/journal_entry.h"
#include "sched/step.h"

namespace mgpu::explain {

struct Story {
  World world;
  std::deque<JournalEntry> journal;
  DeviceId gpu;
  std::uint64_t last_ticket = 0;

  explicit Story(Policy policy = Policy::fifo) : gpu(add_device(world, {.name = "gpu0"})) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    read();
  }

  void passes(Duration time) { world.now = world.now + time; }

  Effects happens(EventPayload what) {
    const Event event{.at = world.now, .payload = std::move(what)};
    Effects effects = step(world, event);
    MGPU_ASSERT(broken_invariant(world).empty(), "what a story makes happen breaks no promise");
    write(event.payload);
    for (const Effect& effect : effects) write(effect);
    return effects;
  }

  // What every warm resident holds.
  Effects read() {
    // Later than all that was answered.
    Reading reading{.device = gpu, .taken_at = world.now + Duration{1}, .total = kGiB * 24};
    for (std::size_t i = 0; i < world.registry.consumers.size(); ++i) {
      Bytes bytes{};
      for (const ResidentId id : world.registry.consumers[i].residents)
        if (world.registry[id].state == Residency::warm) bytes += world.registry[id].footprint;
      if (bytes > Bytes{}) reading.consumers.push_back({ConsumerId{i}, bytes});
    }
    return happens(ReadingTaken{reading});
  }

  // With one resident, which has the same number.
  ConsumerId consumer(Consumer spec, bool warm) {
    spec.can_stop = true;
    const Bytes footprint = spec.footprint;
    const ConsumerId id = add_consumer(world.registry, std::move(spec));
    const ResidentId resident = add_resident(world.registry, id, "", footprint);
    if (!warm) return id;
    happens(FoundWarm{resident});
    read();
    return id;
  }
  ResidentId resident(ConsumerId id) const { return world.registry[id].residents.front(); }

  TicketRequest ask(ConsumerId id) const { return {.device = gpu, .consumer = id, .resident = resident(id)}; }
  TicketId asks(const TicketRequest& what) {
    const TicketId ticket{++last_ticket};
    happens(TicketArrived{ticket, what});
    return ticket;
  }
  TicketId asks(ConsumerId id) { return asks(ask(id)); }

  // The oldest go, as the bounded journal lets them.
  void forget(std::size_t but) {
    while (journal.size() > but) journal.pop_front();
  }

 private:
  void write(std::variant<EventPayload, Effect> what) {
    journal.push_back({.id = ++last_entry_, .at = world.now, .payload = std::move(what)});
  }
  std::uint64_t last_entry_ = 0;
};

}  // namespace mgpu::explain
