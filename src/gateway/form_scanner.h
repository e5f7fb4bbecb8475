// Scans application/x-www-form-urlencoded for the field "model".
#pragma once

#include <cstdint>
#include <string>

#include "gateway/scan_result.h"

namespace mgpu::gateway {

class FormScanner {
 public:
  // Consumes the byte at `offset` of the body.
  ScanStatus put(char c, std::uint64_t offset, ScanResult& result);
  ScanStatus finish(std::uint64_t offset, ScanResult& result);

 private:
  ScanStatus end_field(std::uint64_t offset, ScanResult& result);

  bool in_key_ = true;
  std::string key_;
  std::string value_;  // still percent-encoded
  std::uint64_t value_begin_ = 0;
};

// "a%20b+c" -> "a b c"; a '%' without two hex digits is kept. `plus_is_blank`: true in forms, false in paths.
std::string percent_decode(std::string_view text, bool plus_is_blank);
std::string percent_encode(std::string_view text);

}  // namespace mgpu::gateway
