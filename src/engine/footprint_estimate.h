// What an AI model will hold, estimated from the files that it is loaded from, where it is not declared. Of
// each file only the head is read.
#pragma once

#include <optional>
#include <string>

#include "base/bytes.h"
#include "config/config.h"
#include "engine/timed_calls.h"

namespace mgpu::engine {

struct FootprintEstimate {
  Bytes bytes{};
  std::string source_file{};  // for people: the file's name
};

// None: there is no such file, or none that is understood. Reads files: milliseconds, if the disk is not
// busy. `device_memory`: of all devices together.
std::optional<FootprintEstimate> estimate_footprint(const config::ConsumerConfig& consumer,
                                                    const std::string& ai_model, Bytes device_memory);

// The same; none, too, where the folder does not answer within `limit_setting`.
std::optional<FootprintEstimate> estimate_footprint_within(TimedCalls& calls, Duration limit,
                                                           const config::ConsumerConfig& consumer,
                                                           const std::string& ai_model, Bytes device_memory);

}  // namespace mgpu::engine
