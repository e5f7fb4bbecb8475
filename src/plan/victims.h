// At whose expense: which residents leave so that something else fits.
//
// Candidates are warm, idle and unpinned residents that have a rung to leave by. The least recently used go
// first; then whoever turns out not to be needed is spared again, the most recently used first.
#pragma once

#include <optional>
#include <vector>

#include "registry/registry.h"

namespace mgpu {

// Whether the resident may be chosen at all now.
bool is_candidate(const Registry& registry, const Resident& resident, Instant now);

// What the device gets back when the resident leaves by the gentlest rung its consumer has.
Bytes yield_of(const Registry& registry, const Resident& resident);

// The residents of `device` that leave so that at least `deficit` comes free; none needed: empty. Nullopt:
// all candidates together are not enough (then nobody should leave in vain).
std::optional<std::vector<ResidentId>> choose_victims(const Registry& registry, DeviceId device,
                                                      Bytes deficit, Instant now);

}  // namespace mgpu
