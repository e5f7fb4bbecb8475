// Numbers, amounts of memory and durations as a person writes them. Stricter than the parsers of base: what
// YAML readers or other programs would understand differently is refused, and the error says what to write.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/time.h"

namespace mgpu::config {

// The error is the end of a message: "is not a whole number: write 1000".
template <class T>
using Reading = std::expected<T, std::string>;

// Decimal digits with an optional sign. Not 010 (8 or 10), 0x10, 1_000, 1e3, 5.0.
Reading<std::int64_t> read_whole_number(std::string_view text);

// As parse_bytes(); less than 1 MiB needs a unit, so that `footprint: 5` is not five bytes.
Reading<Bytes> read_bytes(std::string_view text);

// As parse_duration(), with each unit once, the largest first.
Reading<Duration> read_duration(std::string_view text);

// true, yes, on and false, no, off as in YAML 1.1: small, capitalized or in capitals.
Reading<bool> read_bool(std::string_view text);

}  // namespace mgpu::config
