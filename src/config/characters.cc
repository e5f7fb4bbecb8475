#include "config/characters.h"

#include <algorithm>
#include <array>
#include <cstdint>

namespace mgpu::config {
namespace {

constexpr std::array<std::string_view, 19> kOddBlanks{
    "\u00A0", "\u1680", "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007",
    "\u2008", "\u2009", "\u200A", "\u200B", "\u202F", "\u205F", "\u2060", "\u3000", "\uFEFF"};
constexpr std::array<std::string_view, 10> kQuotes{"\u2018", "\u2019", "\u201A", "\u201B", "\u201C",
                                                   "\u201D", "\u201E", "\u201F", "\u00AB", "\u00BB"};
constexpr std::array<std::string_view, 6> kDashes{"\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2212"};

template <std::size_t N>
std::size_t size_of_prefix(std::string_view text, const std::array<std::string_view, N>& prefixes) {
  for (const std::string_view prefix : prefixes)
    if (text.starts_with(prefix)) return prefix.size();
  return 0;
}

// The bytes of the valid UTF-8 sequence that `text` begins with; 0: it is not valid.
std::size_t sequence_size(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return 0;
  for (std::size_t i = 1; i < size; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool surrogate = lead == 0xED && byte(1) > 0x9F;
  const bool too_large = lead == 0xF4 && byte(1) > 0x8F;
  return overlong || surrogate || too_large ? 0 : size;
}

}  // namespace

std::optional<std::size_t> find_invalid_utf8(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t size = sequence_size(text.substr(at));
    if (size == 0) return at;
    at += size;
  }
  return std::nullopt;
}

std::optional<std::string> control_character(std::string_view text) {
  if (text.empty()) return std::nullopt;
  constexpr char kHex[] = "0123456789ABCDEF";
  const auto code = static_cast<unsigned char>(text.front());
  if ((code >= 0x20 && code != 0x7F) || code == '\t' || code == '\n' || code == '\r') return std::nullopt;
  return std::string("U+00") + kHex[code >> 4] + kHex[code & 15];
}

std::size_t odd_blank_size(std::string_view text) { return size_of_prefix(text, kOddBlanks); }
bool starts_with_typographic_quote(std::string_view text) { return size_of_prefix(text, kQuotes) != 0; }
bool starts_with_typographic_dash(std::string_view text) { return size_of_prefix(text, kDashes) != 0; }

std::optional<std::string> find_odd_character(std::string_view text) {
  if (starts_with_typographic_quote(text))
    return "begins with a typographic quote, which quotes nothing: write \" or '";
  for (std::size_t at = 0; at < text.size(); ++at)
    if (odd_blank_size(text.substr(at)) != 0)
      return "contains a blank that is not the usual one (no-break or zero-width): write a plain blank, or "
             "none";
  return std::nullopt;
}

}  // namespace mgpu::config
