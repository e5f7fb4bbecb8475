// Finds the files that an AI model is loaded from, and the options that it is loaded with: from the
// configuration, or from the application's storage layout. Reads the file system with the daemon's
// permissions.
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

// How long the strand waits for a lookup of weights files.
inline constexpr Duration kWeightsLookupTimeout = std::chrono::milliseconds(250);

struct Weights {
  std::vector<std::string> files{};  // none: unknown
  estimate::InferenceOptions inference_options{};
};

// The configured files, else those named in the consumer's command; a folder stands for the files in it, the
// first of several shards for all of them. For a service with several AI models, the files of `ai_model`, in
// the configured folder or in the application's own. `device_memory`: sum over all devices.
Weights find_weights(const config::ConsumerConfig& consumer, const std::string& ai_model,
                     Bytes device_memory);

// A file or folder that the consumer's configuration names: relative paths are of its process' folder.
std::filesystem::path resolve_path(const config::ConsumerConfig& consumer, const std::string& file);

// The value that the consumer's process sees; empty: not set. The environment of a unit or a container is
// unknown: the daemon's own is used for units as an approximation, and not for containers.
std::string environment_variable(const config::ConsumerConfig& consumer, const std::string& name);

// The first `size` bytes of a regular file, or fewer if it is shorter; nothing for a pipe or a device.
std::string read_file_head(const std::filesystem::path& file, std::size_t size);

}  // namespace mgpu::engine
