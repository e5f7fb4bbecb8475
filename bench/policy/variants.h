// Variants and traces by name.
//
// A variant is a policy or rule with changed settings: "affinity+capacity=2+load_ahead=false". In addition to
// the settings of replay/settings.h there are short forms: cap2; noahead; cache (a page cache for all
// weights); park (all consumers can park); known (the costs are learned already, as after a restart).
//
// A trace is a synthetic workload, a file of bench/traces, or any other FILE.csv (replay/csv.h).
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

// Runs the synthetic workloads of several seeds and joins the outcomes, one after the other. A file is run
// once.
struct SeedOptions {
  std::uint32_t first = 1;
  std::uint32_t count = 5;
  std::vector<std::string> settings{};
};
Result<replay::Outcome> run_seeds(const std::string& variant, const std::string& trace,
                                  const SeedOptions& options);

}  // namespace mgpu::bench
