// What others do, each a small model of its own over the same house, people, device and page cache as ours,
// and not through our core: the charter's first design, and the rules of three peers as their documentation
// tells them. A rule knows footprints from the start and makes no mistakes, which flatters it.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "replay/machine.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::bench {

// charter    first come, first served, one at a time; who isn't loaded is loaded while all others wait; the
// least
//            recently used leave for it.
// swap_one   llama-swap's default: one consumer is loaded; its requests run at once, all of them; the first
// that
//            waits for another one swaps it out as soon as it is idle.
// swap_sets  llama-swap's matrix with every set that fits: the same, but for a newcomer only the cheapest to
// reload
//            leave, as soon as they are idle.
// lru        large-model-proxy: whoever is loaded or fits starts at once; if it does not fit, the least
// recently
//            used idle ones leave until it does; there is no line.
// resident   a bound: all consumers are always loaded; one job at a time, in order.
std::vector<std::string_view> rule_names();

// Nullopt: there is no such rule. REQUIRES: one device, one resident each.
std::optional<replay::Outcome> run_rule(std::string_view rule, const replay::Machine& house,
                                        const replay::Workload& workload);

}  // namespace mgpu::bench
