// Finds and opens the store of the daemon.
#pragma once

#include <string>

#include "base/result.h"
#include "config/config.h"

#include "store/store.h"

namespace mgpu::daemon {

// The configured file, else mgpu.db in $STATE_DIRECTORY (set by systemd), $XDG_STATE_HOME/mgpu or
// ~/.local/state/mgpu. Empty: there is no store, because of `store: none` or because there is no such folder.
std::string store_path(const config::Config& config);

// `store` is null where nothing is kept; `warning` is to be logged once the daemon runs. A configured file
// that can't be used is an error. A file in a default place that can't be used is a warning, except for one
// of a newer mgpu, which is an error too. Errors: invalid_config, busy, unavailable.
Result<store::Store::OpenResult> open_store(const config::Config& config);

}  // namespace mgpu::daemon
