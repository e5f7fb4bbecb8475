// The frames of Wyoming: one line of JSON, then as many bytes of JSON and of payload as the line announces.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "base/result.h"

namespace mgpu::service {

// Of the line, and of each part that follows it; an answer to `describe` is far smaller.
inline constexpr Bytes kMaxWyomingFrame = kMiB * 8;

struct WyomingFrame {
  std::string type{};     // "describe", "info", "error"
  nlohmann::json data{};  // an object; what followed the line is merged into it
  std::string payload{};  // sound
};

std::string serialize_frame(const WyomingFrame& frame);

struct ParsedFrame {
  WyomingFrame frame{};
  std::size_t consumed = 0;  // bytes of the input
};
// The frame at the start of `bytes`; null while it is not complete. Error: service_down (no frame, or one
// larger than kMaxWyomingFrame).
Result<std::optional<ParsedFrame>> parse_frame(std::string_view bytes);

}  // namespace mgpu::service
