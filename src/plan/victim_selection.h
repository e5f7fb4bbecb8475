// At whose expense: which residents leave so that something else fits.
//
// Candidates are warm, idle and unpinned residents that have a way to leave. Each has a value: the seconds of
// reloading that its leaving must be expected to cost, for each GiB that it gives. The least valuable go
// first; then whoever turns out not to be needed is spared again, the most valuable first.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "domain/effect.h"
#include "registry/registry.h"

namespace mgpu {

// Whether the resident is warm and idle and has a way to leave, pinned or not.
bool can_be_evicted(const Registry& registry, const Resident& resident, Instant now);

// Whether it may be chosen at all now: pinned ones may not.
bool is_eviction_candidate(const Registry& registry, const Resident& resident, Instant now);

// What the device gets back when the resident leaves by the gentlest rung its consumer has.
Bytes eviction_yield(const Registry& registry, const Resident& resident, DeviceId device);

// How likely somebody asks for it soon, from 0 to 1: 1 while somebody waits for it.
double need_probability(const Registry& registry, const Resident& resident, Instant now);

// The seconds of reloading to expect for each GiB that it gives, if it were to leave: what a candidate is
// worth.
double retention_value(const Registry& registry, const Resident& resident, Instant now);

// Whether the resident would rather be parked than unloaded: its consumer can, it fits into host memory
// beside (or instead of less valuable) parked ones, and coming back is quicker that way.
bool prefers_parking(const Registry& registry, const Resident& resident);

// All candidates of a device, the least valuable first; equally valuable ones by last use.
std::vector<EvictionCandidate> eviction_candidates(const Registry& registry, DeviceId device, Instant now);

// Marks those that leave so that at least `deficit` comes free. False: all together are not enough, and
// nobody is marked (nobody should leave in vain). REQUIRES: sorted as eviction_candidates does.
bool choose_victims(std::span<EvictionCandidate> candidates, Bytes deficit);

std::vector<ResidentId> chosen_victims(std::span<const EvictionCandidate> candidates);

// The parked residents that are dropped so that at least `deficit` of host memory comes free; the least
// valuable first. Nullopt: even all of them are not enough.
std::optional<std::vector<ResidentId>> choose_parked_victims(const Registry& registry, Bytes deficit,
                                                             Instant now);

}  // namespace mgpu
