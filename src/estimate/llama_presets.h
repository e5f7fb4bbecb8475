// Parses the presets of a llama-server router (--models-preset): an INI file with a section for each AI
// model. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mgpu::estimate {

inline constexpr std::size_t kMaxPresets = std::size_t{1} << 20;  // bytes of such a file

// The names of the AI models, in order: the sections but for "*", which has settings for all of them.
std::vector<std::string> preset_names(std::string_view ini);

}  // namespace mgpu::estimate
