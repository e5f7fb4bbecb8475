#include "base/bytes.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace mgpu {
namespace {

struct Unit {
  std::string_view name;
  double bytes;
};

constexpr double kKibi = 1024.0;
constexpr std::array<Unit, 14> kUnits{{{"", 1},
                                       {"B", 1},
                                       {"K", kKibi},
                                       {"KiB", kKibi},
                                       {"KB", 1e3},
                                       {"M", kKibi* kKibi},
                                       {"MiB", kKibi* kKibi},
                                       {"MB", 1e6},
                                       {"G", kKibi* kKibi* kKibi},
                                       {"GiB", kKibi* kKibi* kKibi},
                                       {"GB", 1e9},
                                       {"T", kKibi* kKibi* kKibi* kKibi},
                                       {"TiB", kKibi* kKibi* kKibi* kKibi},
                                       {"TB", 1e12}}};

std::string_view trim_spaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  const auto parse_error = [&] {
    return fail(ErrorCode::invalid_request,
                "\"" + std::string(text) + "\" is not an amount of memory (write 14GiB or 512MiB)");
  };
  const std::string_view amount = trim_spaces(text);
  const std::size_t digits = std::min(amount.find_first_not_of("0123456789."), amount.size());
  double number = 0;
  const auto [end, error] = std::from_chars(amount.data(), amount.data() + digits, number);
  if (error != std::errc{} || end != amount.data() + digits) return parse_error();
  const std::string_view unit = trim_spaces(amount.substr(digits));
  for (const Unit& candidate : kUnits) {
    if (unit != candidate.name) continue;
    const double bytes = number * candidate.bytes;
    if (!(bytes <= static_cast<double>(kLargestBytes.count)))
      return fail(ErrorCode::invalid_request, "\"" + std::string(text) +
                                                  "\" is out of range: memory is at most " +
                                                  to_exact_string(kLargestBytes));
    return Bytes{std::llround(bytes)};
  }
  return parse_error();
}

std::optional<Bytes> bytes_from_number(double count) {
  if (!(count >= 0 && count <= static_cast<double>(kLargestBytes.count))) return std::nullopt;
  return Bytes{std::llround(count)};
}

std::string to_string(Bytes bytes) {
  constexpr std::array<const char*, 5> names{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes.count);
  std::size_t unit = 0;
  while (std::abs(value) >= kKibi && unit + 1 < names.size()) value /= kKibi, ++unit;
  std::array<char, 40> text{};
  const char* format = unit >= 3 ? "%.1f %s" : "%.0f %s";
  std::snprintf(text.data(), text.size(), format, value, names[unit]);
  return text.data();
}

std::string to_exact_string(Bytes bytes) {
  constexpr std::array<const char*, 5> names{"", "KiB", "MiB", "GiB", "TiB"};
  std::size_t unit = 0;
  while (bytes.count != 0 && bytes.count % 1024 == 0 && unit + 1 < names.size()) bytes.count /= 1024, ++unit;
  return std::to_string(bytes.count) + names[unit];
}

}  // namespace mgpu
