// The best order of jobs that a search finds for a short window of a workload: an estimate of what a policy
// could reach that runs one job at a time, keeps the order within each consumer, and may load the resident of
// an arrived job while another runs. The search knows all future arrivals and durations.
#pragma once

#include <vector>

#include "replay/machine.h"
#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::bench {

// Divides an outcome into workloads of `length` consecutive jobs each, with their times of arrival. Each
// starts with all residents cold.
std::vector<replay::Workload> split_into_windows(const replay::Outcome& outcome, std::size_t length,
                                                 std::size_t max_windows);

// The mean wait of the best order that a beam search of this width finds. REQUIRES: one device, and one step
// for each flow.
Duration best_mean_wait(const replay::Machine& machine, const replay::Workload& window,
                        std::size_t beam_width);

}  // namespace mgpu::bench
