// Which files an AI model is loaded from, and how: found out from the configuration and from how its
// application keeps them. Looks at the file system with the daemon's own eyes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "config/config.h"

#include "estimate/inference_options.h"

namespace mgpu::engine {

// How long the strand waits for a look at the files of weights.
inline constexpr Duration kWeightsLookupTimeout = std::chrono::milliseconds(250);

struct Weights {
  std::vector<std::string> files{};  // none: unknown
  estimate::InferenceOptions inference_options{};
};

// The files that are configured, else those that the consumer's command names; a folder stands for the files
// in it, the first of several shards for all of them. Where a service has several AI models, those of the one
// that is named, in the folder that is configured or that its application uses. `device_memory`: of all
// devices together.
Weights find_weights(const config::ConsumerConfig& consumer, const std::string& ai_model,
                     Bytes device_memory);

// The first bytes of a regular file, `capacity` of them or as many as there are; nothing of a pipe or a
// device.
std::string read_file_head(const std::filesystem::path& file, std::size_t size);

}  // namespace mgpu::engine
