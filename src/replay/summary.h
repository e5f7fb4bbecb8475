// What an outcome comes to, in the figures that rules are compared by.
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
  Percentiles
      lost{};  // from arrival to end, without the work itself: the wait, and what sharing the device took
  std::size_t loads = 0;
  std::array<std::size_t, 3> loads_from{};  // by Source
  std::size_t evictions = 0;
  double busy = 0;               // share of the time in which somebody computes,
  double loading = 0;            // in which nobody computes but somebody is loaded or evicted,
  double idle = 0;               // and neither
  double unfairness = 0;         // the worst user's slowdown against the mean of all users'; 1: all alike
  Duration longest_overtaken{};  // the longest time between the first and the last start that passed one job
  std::uint32_t max_times_overtaken = 0;  // most starts that passed one job
  Duration overtake_bound{};              // the longest that the policy let one be overtaken,
  Duration bound_excess{};                // and by how much an overtaking came after its bound
};

Summary summarize(const Outcome& outcome);

// The same for the jobs, loads and evictions of each consumer alone. Shares are of its own doings.
std::map<ConsumerId, Summary> summarize_by_consumer(const Outcome& outcome);

}  // namespace mgpu::replay
