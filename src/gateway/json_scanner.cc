#include "gateway/json_scanner.h"

#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"

namespace mgpu::gateway {
namespace {

constexpr std::uint32_t kReplacementCharacter = 0xFFFD;
constexpr std::size_t kMaxKeyLength = 8;  // longer than any key of interest; longer keys are not stored

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string encode_utf8(std::uint32_t code_point) {
  std::string out;
  auto append_continuation = [&](int shift) {
    out += static_cast<char>(0x80 | ((code_point >> shift) & 0x3F));
  };
  if (code_point < 0x80) {
    out += static_cast<char>(code_point);
  } else if (code_point < 0x800) {
    out += static_cast<char>(0xC0 | (code_point >> 6));
    append_continuation(0);
  } else if (code_point < 0x10000) {
    out += static_cast<char>(0xE0 | (code_point >> 12));
    append_continuation(6), append_continuation(0);
  } else {
    out += static_cast<char>(0xF0 | (code_point >> 18));
    append_continuation(12), append_continuation(6), append_continuation(0);
  }
  return out;
}

}  // namespace

ScanStatus JsonScanner::put(char c, std::uint64_t offset, ScanResult& result) {
  switch (state_) {
    case State::string:
      return put_string(c, offset, result);
    case State::escape:
      return put_escape(c, result);
    case State::hex:
      return put_hex(c, result);
    case State::number:
      return put_number(c, offset, result);
    case State::literal:
      if (c != *literal_rest_) return unexpected_byte(c, offset, result);
      if (*++literal_rest_ == '\0') state_ = State::comma_or_close;
      return ScanStatus::still_looking;
    default:
      break;
  }
  if (is_space(c)) return ScanStatus::still_looking;
  switch (state_) {
    case State::value_or_close:
      if (c == ']') return close_container(c, result);
      return put_value(c, offset, result);
    case State::value:
      return put_value(c, offset, result);
    case State::key_or_close:
      if (c == '}') return close_container(c, result);
      [[fallthrough]];
    case State::key:
      if (c != '"') return unexpected_byte(c, offset, result);
      state_ = State::string;
      is_key_ = true;
      capture_ = depth_ == 1 ? Capture::key : Capture::none;
      captured_text_.clear();
      return ScanStatus::still_looking;
    case State::colon:
      if (c != ':') return unexpected_byte(c, offset, result);
      state_ = State::value;
      return ScanStatus::still_looking;
    case State::comma_or_close:
      if (c == ',') {
        state_ = is_in_object() ? State::key : State::value;
        return ScanStatus::still_looking;
      }
      if (c == (is_in_object() ? '}' : ']')) return close_container(c, result);
      return unexpected_byte(c, offset, result);
    default:
      std::unreachable();
  }
}

ScanStatus JsonScanner::finish(ScanResult& result) {
  return result.set_invalid("the JSON body ends in the middle");
}

ScanStatus JsonScanner::put_value(char c, std::uint64_t offset, ScanResult& result) {
  Capture capture = std::exchange(next_capture_, Capture::none);
  if (c == '"') {
    state_ = State::string;
    is_key_ = false;
    capture_ = capture;
    captured_text_.clear();
    string_begin_ = offset;
    return ScanStatus::still_looking;
  }
  if (depth_ == 0 && c != '{') return result.set_invalid("the JSON body is not an object");
  if (capture == Capture::model) return result.set_invalid("\"model\" is not a string");
  auto expect_literal = [&](const char* rest) {
    literal_rest_ = rest;
    state_ = State::literal;
    return ScanStatus::still_looking;
  };
  switch (c) {
    case '{':
      return open_container(true, result);
    case '[':
      return open_container(false, result);
    case 't':
      return expect_literal("rue");
    case 'f':
      return expect_literal("alse");
    case 'n':
      return expect_literal("ull");
    default:
      break;
  }
  if (c != '-' && !is_digit(c)) return unexpected_byte(c, offset, result);
  state_ = State::number;
  number_state_ = c == '-' ? NumberState::minus : c == '0' ? NumberState::zero : NumberState::integer;
  return ScanStatus::still_looking;
}

ScanStatus JsonScanner::put_string(char c, std::uint64_t offset, ScanResult& result) {
  if (c == '\\') {
    state_ = State::escape;
    return ScanStatus::still_looking;
  }
  if (static_cast<unsigned char>(c) < 0x20) return unexpected_byte(c, offset, result);
  if (ScanStatus lone = replace_lone_surrogate(result); lone != ScanStatus::still_looking) return lone;
  if (c == '"') return end_string(offset, result);
  return append_captured(c, result);
}

ScanStatus JsonScanner::put_escape(char c, ScanResult& result) {
  if (c == 'u') {
    state_ = State::hex;
    hex_value_ = 0;
    hex_digits_ = 0;
    return ScanStatus::still_looking;
  }
  state_ = State::string;
  if (ScanStatus lone = replace_lone_surrogate(result); lone != ScanStatus::still_looking) return lone;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return append_captured(c, result);
    case 'b':
      return append_captured('\b', result);
    case 'f':
      return append_captured('\f', result);
    case 'n':
      return append_captured('\n', result);
    case 'r':
      return append_captured('\r', result);
    case 't':
      return append_captured('\t', result);
    default:
      return result.set_invalid("the JSON body has an unknown escape in a string");
  }
}

ScanStatus JsonScanner::put_hex(char c, ScanResult& result) {
  int digit = hex_value(c);
  if (digit < 0) return result.set_invalid("the JSON body has a \\u escape without four hex digits");
  hex_value_ = hex_value_ * 16 + static_cast<std::uint32_t>(digit);
  if (++hex_digits_ < 4) return ScanStatus::still_looking;
  state_ = State::string;
  bool low = hex_value_ >= 0xDC00 && hex_value_ <= 0xDFFF;
  if (low && high_surrogate_ != 0) {
    std::uint32_t high = std::exchange(high_surrogate_, 0);
    return append_code_point(0x10000 + ((high - 0xD800) << 10) + (hex_value_ - 0xDC00), result);
  }
  if (ScanStatus lone = replace_lone_surrogate(result); lone != ScanStatus::still_looking) return lone;
  if (low) return append_code_point(kReplacementCharacter, result);
  if (hex_value_ >= 0xD800 && hex_value_ <= 0xDBFF) {
    high_surrogate_ = hex_value_;
    return ScanStatus::still_looking;
  }
  return append_code_point(hex_value_, result);
}

ScanStatus JsonScanner::put_number(char c, std::uint64_t offset, ScanResult& result) {
  auto advance_to = [&](NumberState next) {
    number_state_ = next;
    return ScanStatus::still_looking;
  };
  bool is_exponent_mark = c == 'e' || c == 'E';
  switch (number_state_) {
    case NumberState::minus:
      if (is_digit(c)) return advance_to(c == '0' ? NumberState::zero : NumberState::integer);
      break;
    case NumberState::integer:
      if (is_digit(c)) return advance_to(NumberState::integer);
      [[fallthrough]];
    case NumberState::zero:
      if (c == '.') return advance_to(NumberState::dot);
      if (is_exponent_mark) return advance_to(NumberState::e);
      break;
    case NumberState::dot:
      if (is_digit(c)) return advance_to(NumberState::fraction);
      break;
    case NumberState::fraction:
      if (is_digit(c)) return advance_to(NumberState::fraction);
      if (is_exponent_mark) return advance_to(NumberState::e);
      break;
    case NumberState::e:
      if (c == '+' || c == '-') return advance_to(NumberState::sign);
      [[fallthrough]];
    case NumberState::sign:
    case NumberState::exponent:
      if (is_digit(c)) return advance_to(NumberState::exponent);
      break;
  }
  if (!is_number_complete()) return unexpected_byte(c, offset, result);
  state_ = State::comma_or_close;
  return put(c, offset, result);  // the byte after a number belongs to the next token
}

bool JsonScanner::is_number_complete() const {
  return number_state_ == NumberState::zero || number_state_ == NumberState::integer ||
         number_state_ == NumberState::fraction || number_state_ == NumberState::exponent;
}

ScanStatus JsonScanner::end_string(std::uint64_t offset, ScanResult& result) {
  state_ = is_key_ ? State::colon : State::comma_or_close;
  Capture captured = std::exchange(capture_, Capture::none);
  ByteRange range{string_begin_, offset + 1};
  switch (captured) {
    case Capture::none:
      if (depth_ == 0) return result.set_invalid("the JSON body is not an object");
      return ScanStatus::still_looking;
    case Capture::key:
      if (captured_text_ == "model") next_capture_ = Capture::model;
      if (accept_name_key_ && captured_text_ == "name") next_capture_ = Capture::name;
      return ScanStatus::still_looking;
    case Capture::model:
      // Ollama's command sends {"model":"",...,"name":"llama3"}: an empty member beside `name` is an absent
      // one.
      if (captured_text_.empty() && accept_name_key_) return ScanStatus::still_looking;
      if (captured_text_.empty()) return result.set_invalid("\"model\" is empty");
      result.name = std::move(captured_text_);
      result.range = range;
      return ScanStatus::found;
    case Capture::name:
      name_fallback_ = std::move(captured_text_);
      name_range_ = range;
      return ScanStatus::still_looking;
  }
  std::unreachable();
}

ScanStatus JsonScanner::open_container(bool is_object, ScanResult& result) {
  if (depth_ == kMaxDepth) return result.set_invalid("the JSON body is nested too deeply");
  object_flags_[depth_++] = is_object;
  state_ = is_object ? State::key_or_close : State::value_or_close;
  return ScanStatus::still_looking;
}

ScanStatus JsonScanner::close_container(char, ScanResult& result) {
  state_ = State::comma_or_close;
  if (--depth_ > 0) return ScanStatus::still_looking;
  if (name_fallback_.empty()) return ScanStatus::absent;
  result.name = std::move(name_fallback_);
  result.range = name_range_;
  return ScanStatus::found;
}

ScanStatus JsonScanner::append_captured(char c, ScanResult& result) {
  if (capture_ == Capture::none) return ScanStatus::still_looking;
  if (capture_ == Capture::key) {
    if (captured_text_.size() < kMaxKeyLength) captured_text_ += c;
    return ScanStatus::still_looking;
  }
  if (captured_text_.size() == kMaxModelName)
    return result.set_invalid(fmt::format("\"model\" is longer than {} bytes", kMaxModelName));
  captured_text_ += c;
  return ScanStatus::still_looking;
}

ScanStatus JsonScanner::append_code_point(std::uint32_t code_point, ScanResult& result) {
  for (char c : encode_utf8(code_point))
    if (ScanStatus kept = append_captured(c, result); kept != ScanStatus::still_looking) return kept;
  return ScanStatus::still_looking;
}

// Replaces a lone surrogate by U+FFFD, as other parsers do.
ScanStatus JsonScanner::replace_lone_surrogate(ScanResult& result) {
  if (std::exchange(high_surrogate_, 0) == 0) return ScanStatus::still_looking;
  return append_code_point(kReplacementCharacter, result);
}

ScanStatus JsonScanner::unexpected_byte(char c, std::uint64_t offset, ScanResult& result) const {
  auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte < 0x7F)
    return result.set_invalid(
        fmt::format("the body is not valid JSON: unexpected '{}' at byte {}", c, offset));
  return result.set_invalid(
      fmt::format("the body is not valid JSON: unexpected byte {:#04x} at byte {}", byte, offset));
}

}  // namespace mgpu::gateway
