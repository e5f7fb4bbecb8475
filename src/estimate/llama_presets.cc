#include "estimate/llama_presets.h"

#include "base/ascii.h"

namespace mgpu::estimate {

std::vector<std::string> preset_names(std::string_view ini) {
  constexpr std::string_view kAllAiModels = "*";
  constexpr std::string_view kDefaultSection = "default";
  std::vector<std::string> names;
  while (!ini.empty()) {
    const std::size_t end = ini.find_first_of("\r\n");
    const std::string_view line = trimmed(ini.substr(0, end));
    ini.remove_prefix(end == std::string_view::npos ? ini.size() : end + 1);
    if (!line.starts_with('[') || !line.contains(']')) continue;
    const std::string_view name = trimmed(line.substr(1, line.find(']') - 1));
    if (!name.empty() && name != kAllAiModels && name != kDefaultSection) names.emplace_back(name);
  }
  return names;
}

}  // namespace mgpu::estimate
