#include "base/printable.h"

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

namespace mgpu {
namespace {

constexpr std::string_view kNoUtf8 = "\xEF\xBF\xBD";  // U+FFFD

std::string in_hex(std::uint32_t value, int digits) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4) text += kDigits[(value >> shift) & 0xF];
  return text;
}

struct Character {
  std::uint32_t point = 0;
  std::size_t size = 1;  // bytes
};

// The character that the text begins with; none: it is no UTF-8.
std::optional<Character> first_of(std::string_view text) {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return Character{lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return std::nullopt;
  std::uint32_t point = lead & (0xFFU >> (size + 1));
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return std::nullopt;
    point = point << 6 | (byte(i) & 0x3FU);
  }
  constexpr std::array<std::uint32_t, 5> kLeast{0, 0, 0x80, 0x800, 0x10000};
  const bool surrogate = point >= 0xD800 && point <= 0xDFFF;
  if (point < kLeast.at(size) || point > 0x10FFFF || surrogate) return std::nullopt;
  return Character{point, size};
}

bool is_command(std::uint32_t point) {
  const bool control = (point < 0x20 && point != '\t') || (point >= 0x7F && point < 0xA0);
  const bool line_end = point == 0x2028 || point == 0x2029;
  const bool direction = point == 0x200E || point == 0x200F || (point >= 0x202A && point <= 0x202E) ||
                         (point >= 0x2066 && point <= 0x2069);
  return control || line_end || direction;
}

std::string spelt(std::uint32_t command) {
  return command < 0x20 ? "\\x" + in_hex(command, 2) : "\\u" + in_hex(command, 4);
}

std::string shown(std::string_view text, bool keep_lines,
                  std::size_t most = std::numeric_limits<std::size_t>::max()) {
  std::string result;
  while (!text.empty()) {
    const auto character = first_of(text);
    const std::size_t size = character ? character->size : 1;
    std::string next(kNoUtf8);
    if (character) {
      const bool stays = !is_command(character->point) || (keep_lines && character->point == '\n');
      next = stays ? std::string(text.substr(0, size)) : spelt(character->point);
    }
    if (result.size() + next.size() > most) break;
    result += next;
    text.remove_prefix(size);
  }
  return result;
}

}  // namespace

std::string printable(std::string_view text) { return shown(text, false); }
std::string printable(std::string_view text, std::size_t most) { return shown(text, false, most); }
std::string printable_lines(std::string_view text) { return shown(text, true); }

}  // namespace mgpu
