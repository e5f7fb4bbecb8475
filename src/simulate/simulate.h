// `mgpu simulate`: replays a recorded workload on another configuration. The configuration gives the machine,
// a journal or a CSV table the workload. Each variant is replayed in virtual time by the daemon's own `step`.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::simulate {

struct SimulationRequest {
  std::string config{};  // path
  std::string trace{};   // path: a journal (`mgpu events --json`, /v1/events) or a CSV (replay/csv.h)
  std::vector<std::string> policies{};  // empty: the configuration's
  // "overtake_limit=5s": each policy is replayed without and with all of them
  std::vector<std::string> settings{};
  std::vector<Bytes> device_memory{};  // of each device; empty: as in the journal or status
  std::string footprints{};            // path: output of `mgpu status --json`, for learned costs
  std::string svg{};                   // path to write a timeline to
  bool json = false;
};

// Returns the text to print. Errors: invalid_config, invalid_request; the detail names the file.
Result<std::string> simulate(const SimulationRequest& request);

}  // namespace mgpu::simulate
