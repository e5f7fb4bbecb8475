// Values that the configuration took from the environment: used, but never shown.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

// A shorter value may be in a text by chance.
inline constexpr std::size_t kMinHiddenBytes = 4;

// The text with `${env.NAME}` for each value of at least `least_size` bytes.
std::string hide_values(std::string_view text, const std::vector<EnvironmentUse>& uses,
                        std::size_t least_size = kMinHiddenBytes);

// Those of one key: "consumers.chat.url".
std::vector<EnvironmentUse> uses_of_key(const std::vector<EnvironmentUse>& uses, const std::string& key);

}  // namespace mgpu::config
