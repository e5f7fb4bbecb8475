// For tests: a world with one device of 24 GiB that writes a journal. Time passes only with advance.
#pragma once

#include <memory>
#include <string>

#include "base/assert.h"
#include "domain/journal_entry.h"
#include "sched/core_harness.h"
#include "sched/step.h"

namespace mgpu::explain {

struct JournalFixture {
  World world;
  JournalEntries journal;
  DeviceId gpu;
  std::uint64_t last_ticket = 0;

  explicit JournalFixture(Policy policy = Policy::fifo) : gpu(add_device(world, {.name = "gpu0"})) {
    world.limits.policy = policy;
    world.now = {1'000'000};
    take_reading();
  }

  void advance(Duration time) { world.now = world.now + time; }

  Effects apply(EventPayload payload) {
    const Event event{.at = world.now, .payload = std::move(payload)};
    Effects effects = step(world, event);
    MGPU_ASSERT(broken_invariant(world).empty(), "the events of a test violate no invariant");
    append_entry(event.payload);
    for (const Effect& effect : effects) append_entry(effect);
    return effects;
  }

  // The reading is later than the answers to all evictions, so that it counts for them.
  Effects take_reading() {
    return apply(ReadingTaken{reading_of_warm_residents(world, gpu, world.now + Duration{1})});
  }

  // A consumer with one resident.
  ConsumerId make_consumer(Consumer spec, bool warm) {
    spec.can_stop = true;
    const Bytes footprint = spec.footprint;
    const ConsumerId id = add_consumer(world.registry, std::move(spec));
    const ResidentId resident = add_resident(world.registry, id, "", footprint);
    if (!warm) return id;
    apply(ResidentFound{resident, Presence::warm});
    take_reading();
    return id;
  }
  ResidentId resident(ConsumerId id) const { return world.registry[id].residents.front(); }

  TicketRequest make_request(ConsumerId id) const {
    return {.device = gpu, .consumer = id, .resident = resident(id)};
  }
  TicketId submit(const TicketRequest& request) {
    const TicketId ticket{++last_ticket};
    apply(TicketArrived{ticket, request});
    return ticket;
  }
  TicketId submit(ConsumerId id) { return submit(make_request(id)); }

  // Drops the oldest entries, as the bounded journal does.
  void trim_journal(std::size_t kept) {
    while (journal.size() > kept) journal.pop_front();
  }

 private:
  void append_entry(std::variant<EventPayload, Effect> payload) {
    journal.push_back(std::make_shared<JournalEntry>(
        JournalEntry{.id = ++last_entry_, .at = world.now, .payload = std::move(payload)}));
  }
  std::uint64_t last_entry_ = 0;
};

}  // namespace mgpu::explain
