// `mgpu serve`: creates all parts of the daemon, connects them, and runs until a signal ends it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"

namespace mgpu::daemon {

struct ServeOptions {
  std::string config{};            // path of the YAML file
  std::string listen{};            // host:port; empty: the configuration's
  std::vector<Bytes> simulated{};  // memory of each device to simulate; empty: real devices
};

// Returns the exit code: 0 after a drain (SIGTERM, SIGINT), 1 after a second signal, 2 if the daemon could
// not start (the reason is on stderr).
int serve(const ServeOptions& options);

}  // namespace mgpu::daemon
