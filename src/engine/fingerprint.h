// Fingerprints of configurations: what was learned or started under one is true under an equal one only. A
// hash and not the text, because command lines and environments hold secrets that belong into no file of
// ours.
#pragma once

#include <string>

#include "config/config.h"

namespace mgpu::engine {

// Of what decides how much memory it takes: how it is started (command, environment) and spoken to; not
// where.
std::string memory_fingerprint(const config::ConsumerConfig& consumer);

// Of all that a running process must have in common with one that would be started now.
std::string process_fingerprint(const config::ConsumerConfig& consumer);

}  // namespace mgpu::engine
