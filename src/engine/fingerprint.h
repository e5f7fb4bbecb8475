// Fingerprints of consumer configurations: learned costs and running processes stay valid only while the
// fingerprint is unchanged. Hashes instead of the text, since command lines and environments contain secrets
// that must not be stored.
#pragma once

#include <string>

#include "config/config.h"

namespace mgpu::engine {

// Covers the settings that determine memory use: how the consumer is started (command, environment) and its
// protocol; not its address.
std::string memory_fingerprint(const config::ConsumerConfig& consumer);

// Covers all settings that a running process must share with one that would be started now.
std::string process_fingerprint(const config::ConsumerConfig& consumer);

}  // namespace mgpu::engine
