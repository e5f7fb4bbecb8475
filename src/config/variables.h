// `${NAME}` and `${env.NAME}` in the values of a configuration: macros of its own, and variables of the
// environment. `${PORT}` is not replaced here: the runner does it. `$${` is the text `${`.
#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/node.h"

namespace mgpu::config {

inline constexpr std::string_view kPortPlaceholder = "${PORT}";

// Limits of replaced text, of one value and of all together. Each macro in it counts as 64 bytes more.
inline constexpr std::size_t kMaxReplacedBytes = std::size_t{64} * 1024;
inline constexpr std::size_t kMaxMacroDepth = 32;  // macros within macros
inline constexpr std::size_t kMaxReplacedBytesInAll = std::size_t{8} * 1024 * 1024;

// The value of a variable of the environment; none if it is not set.
using Environment = std::function<std::optional<std::string>(const std::string& name)>;
std::optional<std::string> process_environment(const std::string& name);

class Variables {
 public:
  explicit Variables(Environment environment) : environment_(std::move(environment)) {}

  // Takes the mapping below the key `macros`. Errors: names that no macro can have, values that are no text,
  // unknown macros, circles. Uses of a macro with an error give no further error.
  std::vector<ValueError> define_macros(const Node& macros);

  // Replaces the variables in all scalars of `value`, and notes in their substitutions what came from the
  // environment. `allows_port`: whether ${PORT} has a meaning in this value.
  std::vector<ValueError> replace(Node& value, bool allows_port);

 private:
  struct Expansion;
  void expand(std::string_view text, Expansion& into);
  void expand_reference(std::string_view name, Expansion& into);
  void expand_macro(const std::string& name, Expansion& into);
  void expand_environment(const std::string& name, Expansion& into);

  Environment environment_;
  std::map<std::string, Node> macros_{};
  std::size_t replaced_text_ = 0;
};

}  // namespace mgpu::config
