// Baseline scheduling rules, to compare the policies of the core with: the first design of this project, and
// the rules of other programs according to their documentation. Each is a small model on the same machine,
// workload, device and page cache, without the core. A rule knows all footprints from the start and never
// errs, which is in its favour.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "replay/machine.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::bench {

// charter: first come, first served, one job at a time; a cold consumer is loaded while all others wait, and
//   the least recently used consumers are evicted for it.
// swap_one: the default of llama-swap. One consumer is loaded, and all its jobs run concurrently; when it is
//   idle, it is replaced by the consumer of the first waiting job.
// swap_sets: llama-swap's matrix with every set that fits. Like swap_one, but only the consumers that are the
//   fastest to reload are evicted, as soon as they are idle.
// lru: large-model-proxy. A job starts at once if its consumer is loaded or fits; otherwise the least
//   recently used idle consumers are evicted until it fits; there is no line.
// resident: a bound. All consumers are always loaded; one job at a time, in order of arrival.
std::vector<std::string_view> rule_names();

// Nullopt if there is no such rule. REQUIRES: one device, and one resident for each consumer.
std::optional<replay::Outcome> run_rule(std::string_view rule, const replay::Machine& machine,
                                        const replay::Workload& workload);

}  // namespace mgpu::bench
