// What a consumer will hold, estimated from the files that it loads, where nobody declared it. The one place
// that reads those files, and of each only its head.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "config/config.h"

namespace mgpu::engine {

// The files of its weights: those that are configured, else those that its command names. A folder stands for
// the files in it, the first of several shards for all of them.
std::vector<std::string> weights_of(const config::ConsumerConfig& consumer);

// None: there is no such file, or none that is understood. Reads files: not for the strand while work waits.
std::optional<Bytes> estimated_footprint(const config::ConsumerConfig& consumer);

}  // namespace mgpu::engine
