// The best order that a search finds for a short window of jobs: a bound for what any policy could reach that
// serves one at a time, keeps each consumer's own order, and may load for who has come while another
// computes. It knows the future, who comes and for how long; it only can't load for somebody before he is
// there.
#pragma once

#include <vector>

#include "replay/machine.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::bench {

// `length` jobs in a row from an outcome, at the times at which they came, as a workload of their own:
// everything cold, nobody else there.
std::vector<replay::Workload> split_into_windows(const replay::Outcome& outcome, std::size_t length,
                                                 std::size_t max_windows);

// The mean wait of the best order found by a beam search of this width. REQUIRES: one device, one step a
// flow.
Duration best_mean_wait(const replay::Machine& house, const replay::Workload& window, std::size_t beam_width);

}  // namespace mgpu::bench
