// Suggestions for misspelled names.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mgpu::config {

// The candidate nearest to `word` by edit distance; empty if none is within a third of its length.
std::string closest_match(std::string_view word, const std::vector<std::string>& candidates);

}  // namespace mgpu::config
