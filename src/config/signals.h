// Signals by name: what stop_signal may be.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::config {

// "SIGTERM" -> 15; none for a name that is no signal to stop a process with.
std::optional<int> signal_number(std::string_view name);

// The names that signal_number knows.
std::vector<std::string> signal_names();

}  // namespace mgpu::config
