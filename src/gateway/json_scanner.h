// A JSON reader of one byte at a time that keeps nothing but its place: the containers it is in, and the one
// string that may be the answer. Everything up to the answer is checked against the grammar of RFC 8259.
#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>

#include "gateway/scanner.h"

namespace mgpu::gateway {

class JsonScanner {
 public:
  explicit JsonScanner(bool also_name) : also_name_(also_name) {}

  // The byte at offset `at` of the body.
  Search put(char c, std::uint64_t at, Finding& finding);
  Search end(Finding& finding);

  // Inside a string that nobody asked for: a run of plain characters may be passed over unseen.
  bool skims_string() const { return place_ == Place::string && capture_ == Capture::none; }

 private:
  static constexpr std::size_t kMaxDepth = 512;

  enum class Place : std::uint8_t {
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
  enum class Number : std::uint8_t { minus, zero, integer, dot, fraction, e, sign, exponent };
  enum class Capture : std::uint8_t { none, key, model, name };

  Search put_value(char c, std::uint64_t at, Finding& finding);
  Search put_string(char c, std::uint64_t at, Finding& finding);
  Search put_escape(char c, Finding& finding);
  Search put_hex(char c, Finding& finding);
  Search put_number(char c, std::uint64_t at, Finding& finding);
  Search string_ended(std::uint64_t at, Finding& finding);
  Search open(bool object, Finding& finding);
  Search close(char c, Finding& finding);
  Search keep(char c, Finding& finding);
  Search keep_code_point(std::uint32_t point, Finding& finding);
  Search drop_lone_surrogate(Finding& finding);
  Search bad(char c, std::uint64_t at, Finding& finding) const;
  bool number_may_end() const;
  bool in_object() const { return depth_ > 0 && objects_[depth_ - 1]; }

  bool also_name_;
  Place place_ = Place::value;
  Number number_{};
  Capture capture_ = Capture::none;
  Capture next_value_ = Capture::none;  // what the value after this top-level key would be
  bool is_key_ = false;                 // the string in hand is a key
  std::bitset<kMaxDepth> objects_;      // which of the open containers are objects
  std::size_t depth_ = 0;
  std::string text_;  // decoded, of the captured string
  std::uint64_t string_begin_ = 0;
  const char* literal_rest_ = "";
  std::uint32_t hex_ = 0;
  int hex_digits_ = 0;
  std::uint32_t high_surrogate_ = 0;  // waits for its low half
  std::string name_fallback_;         // "name", kept until the body shows no "model"
  Span name_where_;
};

}  // namespace mgpu::gateway
