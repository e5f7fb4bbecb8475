// The signals allowed as stop_signal, by name.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::config {

// "SIGTERM" -> 15; nullopt for other names.
std::optional<int> signal_number(std::string_view name);

// The names that signal_number accepts.
std::vector<std::string> signal_names();

}  // namespace mgpu::config
