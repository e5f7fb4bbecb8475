#include "base/sanitize.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

namespace mgpu {
namespace {

constexpr std::string_view kReplacementCharacter = "\xEF\xBF\xBD";  // U+FFFD

std::string to_hex(std::uint32_t value, int digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) text += kDigits[(value >> shift) & 0xF];
  return text;
}

struct CodePoint {
  std::uint32_t value = 0;
  std::size_t size = 1;  // bytes
};

// The first character of the text; none if it is not valid UTF-8.
std::optional<CodePoint> decode_utf8(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return CodePoint{lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return std::nullopt;
  std::uint32_t point = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    point = point << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kSmallestBySize{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < kSmallestBySize.at(size) || point > 0x10FFFF || surrogate) return std::nullopt;
  return CodePoint{point, size};
}

bool needs_escape(std::uint32_t point) {
  const bool control = (point < 0x20 && point != '\t') || (point >= 0x7F && point < 0xA0);
  const bool line_end = point == 0x2028 || point == 0x2029;
  const bool direction = point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
                         (point >= 0x2066 && point <= 0x2069);
  return control || line_end || direction;
}

std::string escape_code_point(std::uint32_t code_point) {
  return code_point < 0x20 ? "\\x" + to_hex(code_point, 2) : "\\u" + to_hex(code_point, 4);
}

std::string sanitize(std::string_view text, bool keep_lines,
                     std::size_t max_bytes = std::numeric_limits<std::size_t>::max()) {
  std::string result;
  while (!text.empty()) {
    const auto character = decode_utf8(text);
    const std::size_t size = character ? character->size : 1;
    std::string next(kReplacementCharacter);
    if (character) {
      const bool is_kept = !needs_escape(character->value) || (keep_lines && character->value == '\n');
      next = is_kept ? std::string(text.substr(0, size)) : escape_code_point(character->value);
    }
    if (result.size() + next.size() > max_bytes) break;
    result += next;
    text.remove_prefix(size);
  }
  return result;
}

}  // namespace

std::string sanitize_text(std::string_view text) { return sanitize(text, false); }
std::string sanitize_text(std::string_view text, std::size_t max_bytes) {
  return sanitize(text, false, max_bytes);
}
std::string sanitize_lines(std::string_view text) { return sanitize(text, true); }

}  // namespace mgpu
