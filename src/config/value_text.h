// Texts that reading and describing a value share.
#pragma once

#include <string>
#include <vector>

#include "config/value.h"

namespace mgpu::config {

const std::vector<std::string>& policy_names();
const std::vector<std::string>& http_methods();

// "fifo, affinity".
std::string join_names(const std::vector<std::string>& names);

// ", 1 to 64", ", at least 1ms"; empty for an unbounded range. `least` and `most` are its bounds as text.
std::string format_range(const Range& range, const std::string& least, const std::string& most);

}  // namespace mgpu::config
