// Variants and traces by name.
//
// A variant is a rule with settings changed, "affinity+capacity=2+start_loads_ahead=false". Beside the
// settings of replay/settings.h there are short words: cap2; noahead; cache, host memory for all weights;
// park, services that can park there; known, the costs are known from the start, as after a restart.
//
// A trace is one of the households, a file of bench/traces, or any other FILE.csv (replay/csv.h).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

#include "replay/outcome.h"
#include "replay/workload.h"

namespace mgpu::bench {

// All errors: invalid_request.
Result<replay::Outcome> run_variant(const std::string& variant, const replay::Workload& workload,
                                    const std::vector<std::string>& settings = {});

Result<replay::Workload> load_workload(const std::string& trace, std::uint32_t seed);

// Several households of a trace, one life after the other as if it were one long day; a file only once.
struct SeedOptions {
  std::uint32_t first = 1;
  std::uint32_t count = 5;
  std::vector<std::string> settings{};
};
Result<replay::Outcome> run_seeds(const std::string& variant, const std::string& trace,
                                  const SeedOptions& options);

}  // namespace mgpu::bench
