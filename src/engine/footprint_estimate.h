// Estimates the footprint of an AI model that declares none from the files that it is loaded from. Reads only
// the head of each file.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "config/config.h"
#include "engine/timed_calls.h"

namespace mgpu::engine {

struct FootprintEstimate {
  Bytes bytes{};
  std::string source_file{};  // the file's name, for display
};

// None: no file was found, or its format is not supported. Reads files: milliseconds on an idle disk.
// `device_memory`: sum over all devices.
std::optional<FootprintEstimate> estimate_footprint(const config::ConsumerConfig& consumer,
                                                    const std::string& ai_model, Bytes device_memory);

// The same; also none if the folder does not respond within `limit`.
std::optional<FootprintEstimate> estimate_footprint_within(TimedCalls& calls, Duration limit,
                                                           const config::ConsumerConfig& consumer,
                                                           const std::string& ai_model, Bytes device_memory);

// A rough estimate where only the size of the weights' files is known: an eighth more, for cache and compute
// buffers, and a CUDA context. 0 for 0.
Bytes estimate_from_size(Bytes file_bytes);

}  // namespace mgpu::engine
