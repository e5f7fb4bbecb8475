// Learns the costs of residents by observation: durations of loads, evictions and jobs, and the memory that
// readings show meanwhile.
//
// Measured bytes of a consumer are attributed to a resident only if they can't belong to anything else: it is
// the only one in device memory, and no unattributed bytes were there when its load began. The most that it
// holds without work becomes its learned footprint when it is evicted; until then the expectation only grows,
// because applications may allocate late. Bytes measured above the footprint while jobs run are working
// memory. Readings easily miss short peaks, so the expected working memory never falls below the declared
// one.
#pragma once

#include "registry/registry.h"

namespace mgpu {

void learn_load_start(Registry& registry, ResidentId id, Instant now);
void learn_load_end(Registry& registry, ResidentId id, Instant now, LoadSource source);
void learn_eviction(Registry& registry, ResidentId id, Instant now, Rung rung);
void learn_run(Registry& registry, ResidentId id, Duration run, std::uint8_t hour);

// Call after each reading of the device. A reading taken before the load ended may show only a part of the
// resident, so it does not teach a smaller footprint. Returns whether an expectation grew.
bool learn_measurement(Registry& registry, ConsumerState& consumer, DeviceId device, Instant taken_at);

// The service ran out of memory while working, although all expected memory was available: raises the
// expected working memory. False if the expectation already is all that its devices have.
bool learn_out_of_memory(Registry& registry, ResidentId id);

// The load ran out of memory: raises the expected footprint above the room that it had, until a load and an
// eviction show the real one. False if the expectation already is all that its devices have.
bool learn_load_out_of_memory(Registry& registry, ResidentId id);

// Restores what the store has about a resident. REQUIRES: the resident is not loaded.
void restore_learned_costs(Registry& registry, ResidentId id, const LearnedCosts& costs);

// Discards what was learned: the declaration counts again, once the resident holds no memory.
void reset_learned_costs(Registry& registry, ResidentId id);

// The footprint to expect from the next load of a resident.
Bytes expected_footprint(const Resident& resident, FootprintDeclaration declaration);

}  // namespace mgpu
