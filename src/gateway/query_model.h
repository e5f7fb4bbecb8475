// The AI model that a request names in its query ("?model=..."), as those without a body do.
#pragma once

#include <string>
#include <string_view>

namespace mgpu::gateway {

// Decoded; empty if there is none. The first counts if it occurs twice.
std::string model_in_query(std::string_view target);

// `target` with the first "model" of its query replaced.
std::string with_model_in_query(std::string_view target, std::string_view model);

}  // namespace mgpu::gateway
