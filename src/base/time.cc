#include "base/time.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>

namespace mgpu {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t us;
};

// Largest first, the order in which to_string prints them.
constexpr std::array<Unit, 6> kUnits{{{"d", 86'400'000'000},
                                      {"h", 3'600'000'000},
                                      {"m", 60'000'000},
                                      {"s", 1'000'000},
                                      {"ms", 1'000},
                                      {"us", 1}}};

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
  const auto parse_error = [&] {
    return fail(ErrorCode::invalid_request,
                "\"" + std::string(text) + "\" is not a duration (write 250ms, 30s, 15m, 2h)");
  };
  if (text == "0") return Duration{0};
  if (text.empty()) return parse_error();
  double total_us = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    double number = 0;
    const auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, number);
    if (error != std::errc{} || end != rest.data() + digits) return parse_error();
    rest.remove_prefix(digits);
    const std::string_view name = rest.substr(0, std::min(rest.find_first_of("0123456789."), rest.size()));
    rest.remove_prefix(name.size());
    const Unit* unit = nullptr;
    for (const Unit& candidate : kUnits)
      if (candidate.name == name) unit = &candidate;
    if (unit == nullptr) return parse_error();
    total_us += number * static_cast<double>(unit->us);
  }
  if (!(total_us <= static_cast<double>(kLongestDuration.count())))
    return fail(ErrorCode::invalid_request, "\"" + std::string(text) +
                                                "\" is out of range: a duration is at most " +
                                                to_string(kLongestDuration));
  return Duration{std::llround(total_us)};
}

std::optional<Duration> duration_from_ms(double ms) {
  const double us = ms * 1000;
  if (!(us >= 0 && us <= static_cast<double>(kLongestDuration.count()))) return std::nullopt;
  return Duration{std::llround(us)};
}

std::string to_string(Duration duration) {
  std::int64_t rest = duration.count();
  if (rest == 0) return "0s";
  std::string text = rest < 0 ? "-" : "";
  rest = std::abs(rest);
  for (const Unit& unit : kUnits) {
    if (const std::int64_t n = rest / unit.us; n != 0) text += std::to_string(n) + std::string(unit.name);
    rest %= unit.us;
  }
  return text;
}

std::string to_rounded_string(Duration duration) {
  const auto round_to = [&](std::int64_t unit) {
    return to_string(Duration{(duration.count() + unit / 2) / unit * unit});
  };
  if (duration >= std::chrono::seconds{10}) return round_to(1'000'000);
  return round_to(duration >= std::chrono::seconds{1} ? 100'000 : 1'000);
}

std::string to_rfc3339(std::chrono::system_clock::time_point at) {
  const auto ms = std::chrono::floor<std::chrono::milliseconds>(at).time_since_epoch().count();
  const std::time_t seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(ms % 1000));
  return std::string(text.data()) + fraction.data();
}

}  // namespace mgpu
