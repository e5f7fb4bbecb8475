// `mgpu serve`: wires everything together and runs until it is told to stop.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace mgpu::daemon {

struct ServeOptions {
  std::string config{};            // path of the YAML file
  std::string listen{};            // empty: as the configuration says
  std::vector<Bytes> simulated{};  // devices to simulate; empty: those of the driver
};

// Exit code: 0 after a drain (SIGTERM, SIGINT), 1 when told twice, 2 if it could not start; why is on stderr.
int serve(const ServeOptions& options);

}  // namespace mgpu::daemon
