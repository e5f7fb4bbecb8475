// `mgpu simulate`: what would have been, had the same people come to another house. The configuration makes
// the house, a journal or a table the people; each variant lives through them by the daemon's own `step`.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::simulate {

struct SimulationRequest {
  std::string config{};  // path
  std::string trace{};   // path: a journal (`mgpu events --json`, /v1/events) or a CSV (replay/csv.h)
  std::vector<std::string> policies{};  // none: the configuration's
  std::vector<std::string>
      settings{};  // "overtake_limit=5s": each policy is shown as it is, and with all of these
  std::vector<Bytes> device_memory{};  // of each device; none: as the journal or the status says
  std::string
      footprints{};   // path: what `mgpu status --json` printed; what is learned there is taken from it
  std::string svg{};  // path to write a timeline to
  bool json = false;
};

// What to print. Errors: invalid_config, invalid_request (what is wrong with which file).
Result<std::string> simulate(const SimulationRequest& request);

}  // namespace mgpu::simulate
