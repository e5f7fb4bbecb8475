// Learning what a resident costs, from what happens anyway: how long loads, evictions and jobs took, and what
// was measured meanwhile.
//
// Memory is attributed to a resident only while nothing else of its consumer could be meant: it is the only
// one in device memory, and nothing unexplained was there when its load began. What it holds without work is
// its footprint, known when it leaves; until then the expectation only grows, since applications may take
// memory late. What is measured above the footprints while jobs run is working memory: short peaks are easily
// missed, so that it never falls below what was declared.
#pragma once

#include "registry/registry.h"

namespace mgpu {

void learn_load_start(Registry& registry, ResidentId id, Instant now);
void learn_load_end(Registry& registry, ResidentId id, Instant now, LoadSource source);
void learn_eviction(Registry& registry, ResidentId id, Instant now, Rung rung);
void learn_run(Registry& registry, ResidentId id, Duration run, std::uint8_t hour);

// After a reading of the device that was taken then. One taken while it was loading still may have seen a
// part, and teaches no footprint. Returns whether an expectation grew.
bool learn_measurement(Registry& registry, ConsumerState& consumer, DeviceId device, Instant taken_at);

// The service ran out of memory although everything expected was there: more is expected from now on. False:
// as much as its devices have was expected already.
bool learn_out_of_memory(Registry& registry, ResidentId id);

// The same of a load that is not over yet: it needs more than the room it had. Expected until it has been
// loaded and left again, when what was measured is known.
bool learn_load_out_of_memory(Registry& registry, ResidentId id);

// What earlier lives of the daemon learned of a resident that is not loaded.
void restore_learned_costs(Registry& registry, ResidentId id, const LearnedCosts& costs);

// It starts from its declaration again, once it holds nothing.
void reset_learned_costs(Registry& registry, ResidentId id);

// The footprint to expect of a resident that is not loaded.
Bytes expected_footprint(const Resident& resident, FootprintDeclaration declaration);

}  // namespace mgpu
