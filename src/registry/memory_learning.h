// Learns how much device memory residents and their jobs take, from readings, reports and failures. The
// driver shows a consumer's total only, so bytes are a resident's own
// - from its load on: what was not there before, as long as nothing else of the consumer comes or goes (the
//   observed load, registry.h);
// - at its eviction: what came free, if nothing else of the consumer came or went meanwhile.
// Memory of jobs, and bytes that were unexplained before the load, make this a range. Its lower end is
// proven: more than expected counts at once and is kept (LearnedCosts::footprint). Less than expected counts
// only when the resident is evicted, and only if a reading after its last job showed exactly what it holds,
// because applications allocate late.
//
// A footprint may be provisional: a bound, because the size was unknown, its load ran out of memory, or jobs
// ran in all readings so far. The next reading that shows the resident replaces it, by a smaller one as well.
//
// Bytes measured above the footprint while jobs run are working memory, once the footprint was measured
// without work. Readings easily miss short peaks, so the expected working memory never falls below the
// declared one.
#pragma once

#include "registry/registry.h"

namespace mgpu {

// Call when a load begins, after the last reading was stored.
void observe_load(Registry& registry, ResidentId id);

// Call when a service loads a resident by itself, which may have begun some time ago: then the bytes that
// were there before are known only if it is alone.
void observe_own_load(Registry& registry, ResidentId id);

// Call when a resident was loaded without the core, before it is observed: what readings showed of the others
// of its consumer in the last seconds may be its own. What was learned of it then is taken back.
void distrust_siblings(Registry& registry, ResidentId id, Instant now);

// Call when a resident was found in device memory that the daemon did not load.
void observe_found(Registry& registry, ResidentId id);

// Call after each reading of the device was stored, before attribute_measurement. Returns the resident whose
// learned costs have changed; growth by less than kMinReportedGrowth is not reported. Computed bytes (of a
// device that shows only its total) are not precise: they count only where nothing better is known.
inline constexpr Bytes kMinReportedGrowth = kMiB * 64;
std::optional<ResidentId> learn_measurement(Registry& registry, ConsumerState& consumer, DeviceId device,
                                            Instant taken_at, bool is_computed = false);

// Call when an eviction ended and the memory was seen free. `freed`: what at least came free with this
// resident alone; 0 if that is not known. For a resident whose load was not observed this is the first
// figure.
void learn_freed(Registry& registry, ResidentId id, Bytes freed);

// Call when a resident has left device memory: what was seen since its load is kept. `by_itself`: its service
// dropped it, perhaps before a reading that showed no bytes of it.
void learn_departure(Registry& registry, ResidentId id, bool by_itself);

// The service reports the device memory of a loaded AI model. Counts until it was measured. Returns whether
// its learned costs have changed.
bool learn_report(Registry& registry, ResidentId id, Bytes bytes);

// An estimate of the size, where neither a declaration nor anything better is known. Returns whether it is
// used.
bool use_estimate(Registry& registry, ResidentId id, Bytes bytes);

// The service ran out of memory while working, although all expected memory was available: raises the
// expected working memory. False if the expectation already is all that its devices have.
bool learn_out_of_memory(Registry& registry, ResidentId id);

// The load ran out of memory: the footprint is more than the room that it had, and the next load gets all
// room that can be had. False if the expectation already is all that its devices have. REQUIRES: it is
// loading.
bool learn_load_out_of_memory(Registry& registry, ResidentId id);

// Ends a provisional footprint that no reading will replace, because the resident was not loaded.
void drop_provisional_footprint(Registry& registry, ResidentId id);

// Restores what the store has about a resident. REQUIRES: the resident is not loaded.
void restore_learned_costs(Registry& registry, ResidentId id, const LearnedCosts& costs);

// Discards what was learned: the declaration counts again, once the resident holds no memory.
void reset_learned_costs(Registry& registry, ResidentId id);

}  // namespace mgpu
