// Reads the last lines that a unit wrote from systemd's journal.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/config.h"

namespace mgpu::runner {

// Oldest first; empty without a journal or without the permission to read it. Blocks for milliseconds.
std::vector<std::string> read_unit_journal(const config::SystemdConfig& unit, std::size_t count);

}  // namespace mgpu::runner
