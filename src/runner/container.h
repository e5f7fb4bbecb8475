// Runner `container`: an application in a container of Docker or Podman, either one that exists under a
// configured name or one that is created from the configuration. A created container has the label
// mgpu.consumer, by which the next daemon finds it.
#pragma once

#include <string>

#include "runner/runner.h"

namespace mgpu::runner {

// Creates the container if the configuration has an image (a stopped one of an earlier run is replaced, since
// the configuration may have changed), starts it, or resumes it if it is paused. A running one is joined.
// Errors: load_failed (no engine responds, no such container or image, the engine refused, the container
// belongs to another running daemon).
boost::asio::awaitable<StartResult> start_container(boost::asio::any_io_executor executor,
                                                    std::string consumer,
                                                    const config::ContainerConfig& config,
                                                    RunOptions options);

// Finds a running container only: null for none, for a paused one and for one of another running daemon.
// Errors: load_failed (no engine responds, or it refused).
boost::asio::awaitable<StartResult> find_container(boost::asio::any_io_executor executor,
                                                   std::string consumer,
                                                   const config::ContainerConfig& config, RunOptions options);

}  // namespace mgpu::runner
