#include "gateway/form_scanner.h"

#include <charconv>
#include <string_view>

#include <fmt/format.h>

namespace mgpu::gateway {
namespace {

constexpr std::size_t kMaxKey = 32;                     // longer than "model" in any spelling
constexpr std::size_t kMaxEncoded = 3 * kMaxModelName;  // every byte as %XX

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
         c == '.' || c == '~';
}

}  // namespace

std::string percent_decoded(std::string_view text, bool plus_is_blank) {
  std::string said;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      unsigned byte = 0;
      const char* digits = text.data() + i + 1;
      if (std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
        said += static_cast<char>(byte);
        i += 2;
        continue;
      }
    }
    said += text[i] == '+' && plus_is_blank ? ' ' : text[i];
  }
  return said;
}

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (unreserved(c))
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

Search FormScanner::put(char c, std::uint64_t at, Finding& finding) {
  if (c <= ' ' || c >= 0x7F || c == '"' || c == '{' || c == '}')
    return finding.invalid("the body is neither JSON nor multipart nor a urlencoded form");
  if (c == '&') return field_ended(at, finding);
  if (in_key_ && c == '=') {
    in_key_ = false;
    value_begin_ = at + 1;
  } else if (in_key_) {
    if (key_.size() < kMaxKey) key_ += c;
  } else if (value_.size() <= kMaxEncoded) {
    value_ += c;
  }
  return Search::still_looking;
}

Search FormScanner::end(std::uint64_t at, Finding& finding) {
  Search last = field_ended(at, finding);
  return last == Search::still_looking ? Search::absent : last;
}

Search FormScanner::field_ended(std::uint64_t at, Finding& finding) {
  if (in_key_ || percent_decoded(key_, true) != "model") {
    in_key_ = true;
    key_.clear();
    value_.clear();
    return Search::still_looking;
  }
  std::string name = percent_decoded(value_, true);
  if (name.empty()) return finding.invalid("the field \"model\" is empty");
  if (name.size() > kMaxModelName)
    return finding.invalid(fmt::format("the field \"model\" is longer than {} bytes", kMaxModelName));
  finding.name = std::move(name);
  finding.where = {value_begin_, at};
  return Search::found;
}

}  // namespace mgpu::gateway
