#include "config/hidden_values.h"

#include <algorithm>
#include <iterator>
#include <string_view>

namespace mgpu::config {

std::string hide_values(std::string_view text, const std::vector<EnvironmentUse>& uses,
                        std::size_t least_size) {
  std::string hidden;
  for (std::size_t at = 0; at < text.size();) {
    const std::string_view rest = text.substr(at);
    // The longest value that begins here: another may be its begin.
    const EnvironmentUse* longest = nullptr;
    for (const EnvironmentUse& use : uses) {
      const bool is_here =
          use.value.size() >= std::max<std::size_t>(least_size, 1) && rest.starts_with(use.value);
      if (is_here && (longest == nullptr || use.value.size() > longest->value.size())) longest = &use;
    }
    hidden += longest == nullptr ? std::string(rest.substr(0, 1)) : "${env." + longest->variable + "}";
    at += longest == nullptr ? 1 : longest->value.size();
  }
  return hidden;
}

std::vector<EnvironmentUse> uses_of_key(const std::vector<EnvironmentUse>& uses, const std::string& key) {
  std::vector<EnvironmentUse> found;
  std::ranges::copy_if(uses, std::back_inserter(found),
                       [&](const EnvironmentUse& use) { return use.key == key; });
  return found;
}

}  // namespace mgpu::config
