// What a person probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mgpu::config {

// The candidate nearest to `word` by edit distance; empty where none is near enough to be meant.
std::string closest_match(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace mgpu::config
