// A device of 24 GiB whose life is written into a journal, for tests: time passes only where the story says
// so.
#pragma once

#include <deque>
#include <string>

#include "base/assert.h"
#include "domain/journal_entry.h"
#include "sched/step.h"

namespace mgpu::explain {

struct JournalFixture {
  World world;
  std::deque<JournalEntry> journal;
  DeviceId gpu;
  std::uint64_t last_ticket = 0;

  explicit JournalFixture(Policy policy = Policy::fifo) : gpu(add_device(world, {.name = "gpu0"})) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    take_reading();
  }

  void advance(Duration time) { world.now = world.now + time; }

  Effects apply(EventPayload happening) {
    const Event event{.at = world.now, .payload = std::move(happening)};
    Effects effects = step(world, event);
    MGPU_ASSERT(broken_invariant(world).empty(), "what a story makes happen breaks no promise");
    append_entry(event.payload);
    for (const Effect& effect : effects) append_entry(effect);
    return effects;
  }

  // What every warm resident holds.
  Effects take_reading() {
    // Later than all that was answered.
    Reading reading{.device = gpu, .taken_at = world.now + Duration{1}, .total = kGiB * 24};
    for (std::size_t i = 0; i < world.registry.consumers.size(); ++i) {
      Bytes bytes{};
      for (const ResidentId id : world.registry.consumers[i].residents)
        if (world.registry[id].state == Residency::warm) bytes += world.registry[id].footprint;
      if (bytes > Bytes{}) reading.consumers.push_back({ConsumerId{i}, bytes});
    }
    return apply(ReadingTaken{reading});
  }

  // With one resident, which has the same number.
  ConsumerId make_consumer(Consumer spec, bool warm) {
    spec.can_stop = true;
    const Bytes footprint = spec.footprint;
    const ConsumerId id = add_consumer(world.registry, std::move(spec));
    const ResidentId resident = add_resident(world.registry, id, "", footprint);
    if (!warm) return id;
    apply(FoundWarm{resident});
    take_reading();
    return id;
  }
  ResidentId resident(ConsumerId id) const { return world.registry[id].residents.front(); }

  TicketRequest make_ask(ConsumerId id) const {
    return {.device = gpu, .consumer = id, .resident = resident(id)};
  }
  TicketId submit(const TicketRequest& ask) {
    const TicketId ticket{++last_ticket};
    apply(TicketArrived{ticket, ask});
    return ticket;
  }
  TicketId submit(ConsumerId id) { return submit(make_ask(id)); }

  // The oldest go, as the bounded journal lets them.
  void trim_journal(std::size_t kept) {
    while (journal.size() > kept) journal.pop_front();
  }

 private:
  void append_entry(std::variant<EventPayload, Effect> what) {
    journal.push_back({.id = ++last_entry_, .at = world.now, .payload = std::move(what)});
  }
  std::uint64_t last_entry_ = 0;
};

}  // namespace mgpu::explain
