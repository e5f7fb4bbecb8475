// Values that the configuration took from the environment: used, but never shown.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

// The text with `${env.NAME}` for each value. A value of less than `least_size` bytes stays: it may be in the
// text by chance.
std::string hide_values(std::string_view text, const std::vector<EnvironmentUse>& uses,
                        std::size_t least_size = 1);

// Those of one key: "consumers.chat.url".
std::vector<EnvironmentUse> uses_of_key(const std::vector<EnvironmentUse>& uses, const std::string& key);

}  // namespace mgpu::config
