// Reads the text of a configuration as one YAML document. What YAML allows but nobody can mean in a
// configuration is an error: a second document, an unknown !tag, a key without its colon, an alias that
// contains itself, characters that can't be seen.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

#include "config/node.h"

namespace mgpu::config {

// Limits of a document. The last two count what aliases repeat.
inline constexpr std::size_t kMaxDocumentBytes = std::size_t{1024} * 1024;  // bytes
inline constexpr std::size_t kMaxNesting = 64;
inline constexpr std::size_t kMaxValues = 100'000;
inline constexpr std::size_t kMaxScalarBytes = std::size_t{8} * 1024 * 1024;  // bytes of all scalars

struct Document {
  Node top{};  // null: the file has no value at all
  std::vector<ValueError> errors{};
  bool is_readable = true;  // false: `top` is incomplete
};

// Aliases are replaced by what they stand for; merge keys (<<) are left as they are.
Document load_document(std::string_view text);

}  // namespace mgpu::config
