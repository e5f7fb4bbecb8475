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

constexpr double kK = 1024.0;
constexpr std::array<Unit, 14> kUnits{{{"", 1},
                                       {"B", 1},
                                       {"K", kK},
                                       {"KiB", kK},
                                       {"KB", 1e3},
                                       {"M", kK* kK},
                                       {"MiB", kK* kK},
                                       {"MB", 1e6},
                                       {"G", kK* kK* kK},
                                       {"GiB", kK* kK* kK},
                                       {"GB", 1e9},
                                       {"T", kK* kK* kK* kK},
                                       {"TiB", kK* kK* kK* kK},
                                       {"TB", 1e12}}};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

}  // namespace

Result<Bytes> parse_bytes(std::string_view text) {
  const auto refusal = [&] {
    return fail(Code::invalid_request,
                "\"" + std::string(text) + "\" is not an amount of memory (write 14GiB or 512MiB)");
  };
  const std::string_view whole = trimmed(text);
  const std::size_t digits = std::min(whole.find_first_not_of("0123456789."), whole.size());
  double number = 0;
  const auto [end, error] = std::from_chars(whole.data(), whole.data() + digits, number);
  if (error != std::errc{} || end != whole.data() + digits) return refusal();
  const std::string_view unit = trimmed(whole.substr(digits));
  for (const Unit& known : kUnits) {
    if (unit != known.name) continue;
    const double bytes = number * known.bytes;
    if (!(bytes <= static_cast<double>(kLargestBytes.count)))
      return fail(Code::invalid_request, "\"" + std::string(text) + "\" is out of range: memory is at most " +
                                             to_exact_string(kLargestBytes));
    return Bytes{std::llround(bytes)};
  }
  return refusal();
}

std::optional<Bytes> bytes_from_number(double count) {
  if (!(count >= 0 && count <= static_cast<double>(kLargestBytes.count))) return std::nullopt;
  return Bytes{std::llround(count)};
}

std::string to_string(Bytes bytes) {
  constexpr std::array<const char*, 5> names{"B", "KiB", "MiB", "GiB", "TiB"};
  double value = static_cast<double>(bytes.count);
  std::size_t unit = 0;
  while (std::abs(value) >= kK && unit + 1 < names.size()) value /= kK, ++unit;
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
