// Runner `systemd`: an application that is a unit of the system's or the user's systemd. It is started and
// stopped by systemd's jobs and watched by its signals. A unit that was active when it was found is not
// owned.
#pragma once

#include "runner/runner.h"

namespace mgpu::runner {

// Returns once systemd's job has succeeded and the unit is active; an active unit is joined. Errors:
// load_failed (no bus, no such unit, no permission, the job failed or took longer than start_limit; then the
// unit is stopped again).
boost::asio::awaitable<StartResult> start_systemd_unit(boost::asio::any_io_executor executor,
                                                       const config::SystemdConfig& config,
                                                       RunOptions options);

// Only a unit that is active; null otherwise. Errors: load_failed (no bus, no such unit).
boost::asio::awaitable<StartResult> find_systemd_unit(boost::asio::any_io_executor executor,
                                                      const config::SystemdConfig& config,
                                                      RunOptions options);

}  // namespace mgpu::runner
