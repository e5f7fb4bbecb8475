#include "gateway/form_scanner.h"

#include <charconv>
#include <string_view>

#include <fmt/format.h>

namespace mgpu::gateway {
namespace {

constexpr std::size_t kMaxKeyLength = 32;                   // longer than "model" in any encoding
constexpr std::size_t kMaxEncodedName = 3 * kMaxModelName;  // every byte as %XX

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

}  // namespace

std::string percent_decode(std::string_view text, bool plus_is_blank) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      unsigned byte = 0;
      const char* digits = text.data() + i + 1;
      if (std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
        decoded += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    decoded += text[i] == '+' && plus_is_blank ? ' ' : text[i];
  }
  return decoded;
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (char c : text) {
    if (is_unreserved(c))
      encoded += c;
    else
      encoded += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

ScanStatus FormScanner::put(char c, std::uint64_t offset, ScanResult& result) {
  if (c <= ' ' || c >= 0x7F || c == '"' || c == '{' || c == '}')
    return result.set_invalid("the body is neither JSON nor multipart nor a urlencoded form");
  if (c == '&') return end_field(offset, result);
  if (in_key_ && c == '=') {
    in_key_ = false;
    value_begin_ = offset + 1;
  } else if (in_key_) {
    if (key_.size() < kMaxKeyLength) key_ += c;
  } else if (value_.size() <= kMaxEncodedName) {
    value_ += c;
  }
  return ScanStatus::still_looking;
}

ScanStatus FormScanner::finish(std::uint64_t offset, ScanResult& result) {
  ScanStatus last = end_field(offset, result);
  return last == ScanStatus::still_looking ? ScanStatus::absent : last;
}

ScanStatus FormScanner::end_field(std::uint64_t offset, ScanResult& result) {
  if (in_key_ || percent_decode(key_, true) != "model") {
    in_key_ = true;
    key_.clear();
    value_.clear();
    return ScanStatus::still_looking;
  }
  std::string name = percent_decode(value_, true);
  if (name.empty()) return result.set_invalid("the field \"model\" is empty");
  if (name.size() > kMaxModelName)
    return result.set_invalid(fmt::format("the field \"model\" is longer than {} bytes", kMaxModelName));
  result.name = std::move(name);
  result.range = {value_begin_, offset};
  return ScanStatus::found;
}

}  // namespace mgpu::gateway
