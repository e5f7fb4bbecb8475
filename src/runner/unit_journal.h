// The last lines that a unit wrote, from systemd's journal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.h"

namespace mgpu::runner {

// Oldest first; nothing where there is no journal or we may not read it. Reads files, for milliseconds.
std::vector<std::string> read_unit_journal(const config::SystemdConfig& unit, std::size_t count);

}  // namespace mgpu::runner
