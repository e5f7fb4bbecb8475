// Reads some members of a JSON object while its bytes pass: their values and where they stand. Unlike
// ModelFinder it reads the whole body, since a member may stand anywhere and the last of several counts, as
// in Ollama. Memory is bounded for any input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "gateway/scan_result.h"

namespace mgpu::gateway {

class JsonFields {
 public:
  static constexpr std::size_t kMaxValue = 1024;  // bytes kept of a value

  // `names`: of the members, in lower case; the body's are compared without case. Must outlive it.
  explicit JsonFields(std::span<const std::string_view> names) : names_(names) {}

  // Consumes the next bytes of the body.
  void feed(std::string_view chunk);

  // Whether the body, fed to its end, is one object. Its grammar is checked only as far as members and their
  // values must be told apart.
  bool is_object() const { return state_ == State::end; }

  // The members that were found, by their names in `names`. A value of more than kMaxValue bytes is the text
  // "...": only that it is not empty is known. One that is no JSON is null. REQUIRES: is_object().
  nlohmann::json values() const;

  // Where the value of a member stands. REQUIRES: is_object().
  std::optional<ByteRange> range_of(std::string_view name) const;

  // The text that adds a member in front of all others, at range_of_first(). REQUIRES: is_object().
  std::string first_member(std::string_view name, std::string_view value) const;
  ByteRange range_of_first() const { return {object_begin_, object_begin_}; }

 private:
  enum class State : std::uint8_t {
    before,
    key_or_close,
    key,
    colon,
    value,
    scalar,
    text,
    nested,
    comma,
    end,
    invalid
  };

  struct Member {
    std::string_view name{};
    std::string text{};
    ByteRange range{};
    bool is_cut = false;
  };

  void put(char c);
  void put_key(char c);
  void begin_value(char c);
  void put_value_byte(char c);
  void end_value(std::uint64_t end);

  std::span<const std::string_view> names_;
  State state_ = State::before;
  std::uint64_t offset_ = 0;        // of the current byte
  std::uint64_t object_begin_ = 0;  // behind its brace
  bool is_empty_ = true;            // no member so far
  std::string key_;                 // its first bytes, escapes undecoded
  bool is_escaped_ = false;         // the current byte follows a backslash in a string
  bool in_string_ = false;          // within a nested value
  std::size_t depth_ = 0;           // of a nested value
  std::optional<Member> current_;   // the value is one of `names`
  std::vector<Member> members_;
};

}  // namespace mgpu::gateway
