// Summary: statistics of an outcome, by which policies are compared.
#pragma once

#include <array>
#include <map>

#include "replay/outcome.h"

namespace mgpu::replay {

struct Percentiles {
  Duration mean{}, p50{}, p95{}, p99{}, worst{};
};

struct Summary {
  std::size_t jobs = 0;
  std::size_t refused = 0;
  Percentiles wait{};  // from arrival to start
  Percentiles lost{};  // from arrival to end, minus the work: the wait, and the slowdown by concurrent jobs
  std::size_t loads = 0;
  std::array<std::size_t, 3> loads_from{};  // by LoadSource
  std::size_t evictions = 0;
  double busy = 0;               // share of the time in which jobs run
  double loading = 0;            // share in which no job runs, but a resident is loaded or evicted
  double idle = 0;               // the remaining share
  double unfairness = 0;         // the worst user's slowdown over the mean of all users; 1: all equal
  Duration longest_overtaken{};  // the longest time from the first to the last start that overtook a job
  std::uint32_t max_times_overtaken = 0;  // the most starts that overtook a job
  Duration overtake_bound{};              // Outcome::max_overtake_bound
  Duration bound_excess{};                // Outcome::max_bound_excess
};

Summary summarize(const Outcome& outcome);

// For each consumer, a summary of its own jobs, loads and evictions.
std::map<ConsumerId, Summary> summarize_by_consumer(const Outcome& outcome);

}  // namespace mgpu::replay
