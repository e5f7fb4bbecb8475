// Where the store is, and whether the daemon can live without it.
#pragma once

#include <string>

#include "base/result.h"
#include "config/config.h"

#include "store/store.h"

namespace mgpu::daemon {

// The configured file, else mgpu.db in $STATE_DIRECTORY (as systemd sets it), $XDG_STATE_HOME/mgpu or
// ~/.local/state/mgpu. Empty: nothing is kept, by wish or for want of a home.
std::string store_path(const config::Config& config);

// No store: nothing is kept. The note is for the log, once it is sure that we run. A file that was configured
// must be usable; without one, a place that can't be had is no reason not to start, but a file of a newer
// mgpu always is. Errors: invalid_config, busy, unavailable.
Result<store::Store::OpenResult> open_store(const config::Config& config);

}  // namespace mgpu::daemon
