#include "config/amounts.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace mgpu::config {
namespace {

constexpr std::string_view kDigits = "0123456789";

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
  return lower;
}

std::string without(std::string_view text, std::string_view characters) {
  std::string rest;
  for (const char c : text)
    if (!characters.contains(c)) rest += c;
  return rest;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of(kDigits) == std::string_view::npos;
}

std::unexpected<std::string> problem(std::string text) { return std::unexpected(std::move(text)); }

// A number in another notation as plain digits: 1_000, 1,000, 0x10, 1e3, 5.0, 010. None: it is no such
// number.
std::optional<std::string> in_plain_digits(std::string_view text) {
  std::string plain = without(text, "_,' ");
  if (plain.starts_with('+')) plain.erase(0, 1);
  const bool hexadecimal = lower_case(plain).starts_with("0x");
  if (!hexadecimal && is_digits(plain)) {
    plain.erase(0, std::min(plain.find_first_not_of('0'), plain.size() - 1));
    return plain;
  }
  std::int64_t whole = 0;
  const char* const end = plain.data() + plain.size();
  if (hexadecimal) {
    const auto [stop, error] = std::from_chars(plain.data() + 2, end, whole, 16);
    return error == std::errc{} && stop == end ? std::optional(std::to_string(whole)) : std::nullopt;
  }
  double number = 0;
  const auto [stop, error] = std::from_chars(plain.data(), end, number);
  if (error != std::errc{} || stop != end || !(number >= -1e15 && number <= 1e15)) return std::nullopt;
  whole = static_cast<std::int64_t>(number);
  return static_cast<double>(whole) == number ? std::optional(std::to_string(whole)) : std::nullopt;
}

struct Spelling {
  std::string_view written;  // lower case
  std::string_view meant;
};

constexpr std::array<Spelling, 27> kByteUnits{
    {{"k", "KiB"},       {"kb", "KB"},       {"ki", "KiB"},       {"kib", "KiB"}, {"m", "MiB"},
     {"mb", "MB"},       {"mi", "MiB"},      {"mib", "MiB"},      {"g", "GiB"},   {"gb", "GB"},
     {"gi", "GiB"},      {"gib", "GiB"},     {"t", "TiB"},        {"tb", "TB"},   {"ti", "TiB"},
     {"tib", "TiB"},     {"b", "B"},         {"byte", "B"},       {"bytes", "B"}, {"gig", "GiB"},
     {"gigs", "GiB"},    {"gigabyte", "GB"}, {"gigabytes", "GB"}, {"meg", "MiB"}, {"megs", "MiB"},
     {"megabyte", "MB"}, {"megabytes", "MB"}}};

constexpr std::array<Spelling, 26> kTimeUnits{{{"d", "d"},        {"day", "d"},
                                               {"days", "d"},     {"h", "h"},
                                               {"hr", "h"},       {"hrs", "h"},
                                               {"hour", "h"},     {"hours", "h"},
                                               {"m", "m"},        {"min", "m"},
                                               {"mins", "m"},     {"minute", "m"},
                                               {"minutes", "m"},  {"s", "s"},
                                               {"sec", "s"},      {"secs", "s"},
                                               {"second", "s"},   {"seconds", "s"},
                                               {"ms", "ms"},      {"msec", "ms"},
                                               {"msecs", "ms"},   {"millis", "ms"},
                                               {"us", "us"},      {"usec", "us"},
                                               {"\u00B5s", "us"}, {"microseconds", "us"}}};

// Numbers and units in the usual notation: "5,5 gib" -> "5.5GiB", "1 Hour 30 min" -> "1h30m". None: there is
// a word that is no unit.
template <std::size_t N>
std::optional<std::string> respelled(std::string_view text, const std::array<Spelling, N>& units) {
  const std::string lower = lower_case(without(text, " \t_"));
  std::string meant;
  for (std::size_t at = 0; at < lower.size();) {
    const std::size_t word = std::min(lower.find_first_not_of("0123456789.,", at), lower.size());
    const std::size_t next = std::min(lower.find_first_of("0123456789.,", word), lower.size());
    std::string number = lower.substr(at, word - at);
    std::ranges::replace(number, ',', '.');
    const auto unit =
        std::ranges::find(units, std::string_view(lower).substr(word, next - word), &Spelling::written);
    if (number.empty() || unit == units.end()) return std::nullopt;
    meant += number + std::string(unit->meant);
    at = next;
  }
  return meant;
}

std::string hint_for_bytes(std::string_view text) {
  if (text.starts_with('-')) return "memory is never negative";
  if (text.ends_with('%')) return "a share of the device is not supported, write an amount such as 14GiB";
  if (const auto meant = respelled(text, kByteUnits); meant && parse_bytes(*meant)) return "write " + *meant;
  return "write 14GiB or 512MiB";
}

std::string hint_for_duration(std::string_view text) {
  if (text.starts_with('-')) return "a duration is never negative; write 0 where that means no limit";
  if (const std::string digits = without(text, "_ "); is_digits(digits))
    return "it has no unit, write " + digits + "s, " + digits + "m or " + digits + "h";
  for (const std::string_view word :
       {"never", "none", "off", "inf", ".inf", "infinite", "infinity", "forever", "unlimited"})
    if (lower_case(text) == word) return "write 0 where that means no limit, or a long one such as 366d";
  if (const auto meant = respelled(text, kTimeUnits); meant && parse_duration(*meant))
    return "write " + *meant;
  return "write 250ms, 30s, 15m, 2h or 1h30m";
}

// Whether each unit of a valid duration is smaller than the one before it.
bool has_descending_units(std::string_view text) {
  constexpr std::array<std::string_view, 6> kUnits{"d", "h", "m", "s", "ms", "us"};
  std::size_t least = 0;  // index of the largest unit that may come next
  while (!text.empty()) {
    text.remove_prefix(std::min(text.find_first_not_of("0123456789."), text.size()));
    const std::size_t end = std::min(text.find_first_of("0123456789."), text.size());
    const auto unit =
        static_cast<std::size_t>(std::ranges::find(kUnits, text.substr(0, end)) - kUnits.begin());
    if (unit < least) return false;
    least = unit + 1;
    text.remove_prefix(end);
  }
  return true;
}

}  // namespace

Reading<std::int64_t> read_whole_number(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
  const auto not_a_number = [&]() -> std::unexpected<std::string> {
    const auto meant = in_plain_digits(text);
    return problem("is not a whole number" + (meant ? ": write " + *meant : " in decimal digits"));
  };
  if (!is_digits(digits)) return not_a_number();
  if (digits.size() > 1 && digits.starts_with('0')) {
    const std::string plain = *in_plain_digits(digits);
    return problem("begins with 0, which some YAML readers take for octal: write " + plain);
  }
  std::int64_t number = 0;
  const auto error = std::from_chars(digits.data(), digits.data() + digits.size(), number).ec;
  if (error != std::errc{}) return problem("is out of range");
  return text.starts_with('-') ? -number : number;
}

Reading<Bytes> read_bytes(std::string_view text) {
  constexpr Bytes kLeastWithoutUnit = kMiB;
  const Result<Bytes> bytes = parse_bytes(text);
  if (!bytes) {
    if (bytes.error().detail.contains("out of range"))
      return problem("is out of range: memory is at most " + to_exact_string(kLargestBytes));
    return problem("is not an amount of memory: " + hint_for_bytes(text));
  }
  if (const std::string digits = without(text, " ");
      is_digits(digits) && bytes->count != 0 && *bytes < kLeastWithoutUnit)
    return problem("has no unit: write " + digits + "GiB or " + digits + "MiB (" + digits +
                   "B if bytes are meant)");
  return *bytes;
}

Reading<Duration> read_duration(std::string_view text) {
  const Result<Duration> duration = parse_duration(text);
  if (!duration) {
    if (duration.error().detail.contains("out of range"))
      return problem("is out of range: a duration is at most " + to_string(kLongestDuration));
    return problem("is not a duration: " + hint_for_duration(text));
  }
  if (text != "0" && !has_descending_units(text))
    return problem("is not a duration: write each unit once, the largest first (1h30m)");
  return *duration;
}

Reading<bool> read_bool(std::string_view text) {
  std::string capitalized = lower_case(text);
  if (!capitalized.empty())
    capitalized.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(capitalized.front())));
  std::string capitals(text);
  std::ranges::transform(capitals, capitals.begin(), [](unsigned char c) { return std::toupper(c); });
  const std::string word = lower_case(text);
  const bool is_usual_case = text == word || text == capitalized || text == capitals;
  for (const std::string_view yes : {"true", "yes", "on"})
    if (is_usual_case && word == yes) return true;
  for (const std::string_view no : {"false", "no", "off"})
    if (is_usual_case && word == no) return false;
  return problem("is neither true nor false");
}

}  // namespace mgpu::config
