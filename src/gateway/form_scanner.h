// Looks through application/x-www-form-urlencoded for the field "model".
#pragma once

#include <cstdint>
#include <string>

#include "gateway/scanner.h"

namespace mgpu::gateway {

class FormScanner {
 public:
  // The byte at offset `at` of the body.
  Search put(char c, std::uint64_t at, Finding& finding);
  Search end(std::uint64_t at, Finding& finding);

 private:
  Search field_ended(std::uint64_t at, Finding& finding);

  bool in_key_ = true;
  std::string key_;
  std::string value_;  // still encoded
  std::uint64_t value_begin_ = 0;
};

// "a%20b+c" -> "a b c"; a '%' without two hex digits stays. `plus_is_blank`: in forms, not in paths.
std::string percent_decoded(std::string_view text, bool plus_is_blank);
std::string percent_encoded(std::string_view text);

}  // namespace mgpu::gateway
