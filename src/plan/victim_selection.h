// Victim selection: which residents are evicted so that something else fits.
//
// Candidates are warm, idle and unpinned residents for which an eviction rung is available. Each has a
// retention value: the expected seconds of reloading that its eviction costs, for each GiB that it frees. The
// least valuable are chosen until enough comes free; then those that turn out not to be needed are spared
// again, the most valuable first.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "domain/effect.h"
#include "registry/registry.h"

namespace mgpu {

// Whether the resident is warm and idle and a rung is available, pinned or not.
bool can_be_evicted(const Registry& registry, const Resident& resident, Instant now);

// Whether the scheduler may evict it now: can_be_evicted, and not pinned.
bool is_eviction_candidate(const Registry& registry, const Resident& resident, Instant now);

// The bytes that come free on the device when the resident is evicted by the first rung of its consumer.
Bytes eviction_yield(const Registry& registry, const Resident& resident, DeviceId device);

// Probability that the resident is needed soon, from 0 to 1; 1 while a ticket waits for it.
double need_probability(const Registry& registry, const Resident& resident, Instant now);

// Expected seconds of reloading for each GiB that comes free if the resident is evicted.
double retention_value(const Registry& registry, const Resident& resident, Instant now);

// Whether parking is better than unloading: the consumer supports it, the resident fits into the host memory
// for parking (less valuable parked ones may be dropped for it), and loading it again is faster.
bool prefers_parking(const Registry& registry, const Resident& resident);

// All candidates on a device, the least valuable first; equally valuable ones by last use.
std::vector<EvictionCandidate> eviction_candidates(const Registry& registry, DeviceId device, Instant now);

// Marks candidates as chosen so that at least `deficit` comes free. False if all of them are not enough; then
// none is marked, because evicting some would not help. REQUIRES: sorted as eviction_candidates does.
bool choose_victims(std::span<EvictionCandidate> candidates, Bytes deficit);

std::vector<ResidentId> chosen_victims(std::span<const EvictionCandidate> candidates);

// The parked residents to drop so that at least `deficit` of host memory comes free, the least valuable
// first. Nullopt if all of them are not enough.
std::optional<std::vector<ResidentId>> choose_parked_victims(const Registry& registry, Bytes deficit,
                                                             Instant now);

}  // namespace mgpu
