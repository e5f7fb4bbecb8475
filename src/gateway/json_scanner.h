// Scans JSON for the top-level key "model", one byte at a time. Stores only the open containers and the one
// string that may be the result. Everything up to the result is checked against the grammar of RFC 8259.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>

#include "gateway/scan_result.h"

namespace mgpu::gateway {

class JsonScanner {
 public:
  explicit JsonScanner(bool accept_name_key) : accept_name_key_(accept_name_key) {}

  // Consumes the byte at `offset` of the body.
  ScanStatus put(char c, std::uint64_t offset, ScanResult& result);
  ScanStatus finish(ScanResult& result);

  // Inside a string that can't be the result: a run of plain characters may be skipped.
  bool can_skip_string() const { return state_ == State::string && capture_ == Capture::none; }

 private:
  static constexpr std::size_t kMaxDepth = 512;

  enum class State : std::uint8_t {
    value,
    value_or_close,
    key_or_close,
    key,
    colon,
    comma_or_close,
    string,
    escape,
    hex,
    literal,
    number
  };
  enum class NumberState : std::uint8_t { minus, zero, integer, dot, fraction, e, sign, exponent };
  enum class Capture : std::uint8_t { none, key, model, name };

  ScanStatus put_value(char c, std::uint64_t offset, ScanResult& result);
  ScanStatus put_string(char c, std::uint64_t offset, ScanResult& result);
  ScanStatus put_escape(char c, ScanResult& result);
  ScanStatus put_hex(char c, ScanResult& result);
  ScanStatus put_number(char c, std::uint64_t offset, ScanResult& result);
  ScanStatus end_string(std::uint64_t offset, ScanResult& result);
  ScanStatus open_container(bool is_object, ScanResult& result);
  ScanStatus close_container(char c, ScanResult& result);
  ScanStatus append_captured(char c, ScanResult& result);
  ScanStatus append_code_point(std::uint32_t point, ScanResult& result);
  ScanStatus replace_lone_surrogate(ScanResult& result);
  ScanStatus unexpected_byte(char c, std::uint64_t offset, ScanResult& result) const;
  bool is_number_complete() const;
  bool is_in_object() const { return depth_ > 0 && object_flags_[depth_ - 1]; }

  bool accept_name_key_;
  State state_ = State::value;
  NumberState number_state_{};
  Capture capture_ = Capture::none;
  Capture next_capture_ = Capture::none;  // what the value after this top-level key is captured as
  bool is_key_ = false;                   // the current string is a key
  std::bitset<kMaxDepth> object_flags_;   // which of the open containers are objects
  std::size_t depth_ = 0;
  std::string captured_text_;  // decoded, of the captured string
  std::uint64_t string_begin_ = 0;
  const char* literal_rest_ = "";
  std::uint32_t hex_value_ = 0;
  int hex_digits_ = 0;
  std::uint32_t high_surrogate_ = 0;  // waiting for its low surrogate
  std::string name_fallback_;         // value of "name", used if the body has no "model"
  ByteRange name_range_;
};

}  // namespace mgpu::gateway
