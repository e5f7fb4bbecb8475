#include "gateway/json_scanner.h"

#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"

namespace mgpu::gateway {
namespace {

constexpr std::uint32_t kReplacement = 0xFFFD;
constexpr std::size_t kMaxKey = 8;  // longer than any key we look for: keys beyond are not kept

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string utf8(std::uint32_t point) {
  std::string out;
  auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((point >> shift) & 0x3F)); };
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xC0 | (point >> 6));
    tail(0);
  } else if (point < 0x10000) {
    out += static_cast<char>(0xE0 | (point >> 12));
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0 | (point >> 18));
    tail(12), tail(6), tail(0);
  }
  return out;
}

}  // namespace

Search JsonScanner::put(char c, std::uint64_t at, Finding& finding) {
  switch (place_) {
    case Place::string:
      return put_string(c, at, finding);
    case Place::escape:
      return put_escape(c, finding);
    case Place::hex:
      return put_hex(c, finding);
    case Place::number:
      return put_number(c, at, finding);
    case Place::literal:
      if (c != *literal_rest_) return bad(c, at, finding);
      if (*++literal_rest_ == '\0') place_ = Place::comma_or_close;
      return Search::still_looking;
    default:
      break;
  }
  if (is_space(c)) return Search::still_looking;
  switch (place_) {
    case Place::value_or_close:
      if (c == ']') return close(c, finding);
      return put_value(c, at, finding);
    case Place::value:
      return put_value(c, at, finding);
    case Place::key_or_close:
      if (c == '}') return close(c, finding);
      [[fallthrough]];
    case Place::key:
      if (c != '"') return bad(c, at, finding);
      place_ = Place::string;
      is_key_ = true;
      capture_ = depth_ == 1 ? Capture::key : Capture::none;
      text_.clear();
      return Search::still_looking;
    case Place::colon:
      if (c != ':') return bad(c, at, finding);
      place_ = Place::value;
      return Search::still_looking;
    case Place::comma_or_close:
      if (c == ',') {
        place_ = in_object() ? Place::key : Place::value;
        return Search::still_looking;
      }
      if (c == (in_object() ? '}' : ']')) return close(c, finding);
      return bad(c, at, finding);
    default:
      std::unreachable();
  }
}

Search JsonScanner::end(Finding& finding) { return finding.invalid("the JSON body ends in the middle"); }

Search JsonScanner::put_value(char c, std::uint64_t at, Finding& finding) {
  Capture wanted = std::exchange(next_value_, Capture::none);
  if (c == '"') {
    place_ = Place::string;
    is_key_ = false;
    capture_ = wanted;
    text_.clear();
    string_begin_ = at;
    return Search::still_looking;
  }
  if (depth_ == 0 && c != '{') return finding.invalid("the JSON body is not an object");
  if (wanted == Capture::model) return finding.invalid("\"model\" is not a string");
  auto literal = [&](const char* rest) {
    literal_rest_ = rest;
    place_ = Place::literal;
    return Search::still_looking;
  };
  switch (c) {
    case '{':
      return open(true, finding);
    case '[':
      return open(false, finding);
    case 't':
      return literal("rue");
    case 'f':
      return literal("alse");
    case 'n':
      return literal("ull");
    default:
      break;
  }
  if (c != '-' && !is_digit(c)) return bad(c, at, finding);
  place_ = Place::number;
  number_ = c == '-' ? Number::minus : c == '0' ? Number::zero : Number::integer;
  return Search::still_looking;
}

Search JsonScanner::put_string(char c, std::uint64_t at, Finding& finding) {
  if (c == '\\') {
    place_ = Place::escape;
    return Search::still_looking;
  }
  if (static_cast<unsigned char>(c) < 0x20) return bad(c, at, finding);
  if (Search lone = drop_lone_surrogate(finding); lone != Search::still_looking) return lone;
  if (c == '"') return string_ended(at, finding);
  return keep(c, finding);
}

Search JsonScanner::put_escape(char c, Finding& finding) {
  if (c == 'u') {
    place_ = Place::hex;
    hex_ = 0;
    hex_digits_ = 0;
    return Search::still_looking;
  }
  place_ = Place::string;
  if (Search lone = drop_lone_surrogate(finding); lone != Search::still_looking) return lone;
  switch (c) {
    case '"':
    case '\\':
    case '/':
      return keep(c, finding);
    case 'b':
      return keep('\b', finding);
    case 'f':
      return keep('\f', finding);
    case 'n':
      return keep('\n', finding);
    case 'r':
      return keep('\r', finding);
    case 't':
      return keep('\t', finding);
    default:
      return finding.invalid("the JSON body has an unknown escape in a string");
  }
}

Search JsonScanner::put_hex(char c, Finding& finding) {
  int digit = hex_value(c);
  if (digit < 0) return finding.invalid("the JSON body has a \\u escape without four hex digits");
  hex_ = hex_ * 16 + static_cast<std::uint32_t>(digit);
  if (++hex_digits_ < 4) return Search::still_looking;
  place_ = Place::string;
  bool low = hex_ >= 0xDC00 && hex_ <= 0xDFFF;
  if (low && high_surrogate_ != 0) {
    std::uint32_t high = std::exchange(high_surrogate_, 0);
    return keep_code_point(0x10000 + ((high - 0xD800) << 10) + (hex_ - 0xDC00), finding);
  }
  if (Search lone = drop_lone_surrogate(finding); lone != Search::still_looking) return lone;
  if (low) return keep_code_point(kReplacement, finding);
  if (hex_ >= 0xD800 && hex_ <= 0xDBFF) {
    high_surrogate_ = hex_;
    return Search::still_looking;
  }
  return keep_code_point(hex_, finding);
}

Search JsonScanner::put_number(char c, std::uint64_t at, Finding& finding) {
  auto go = [&](Number next) {
    number_ = next;
    return Search::still_looking;
  };
  bool e = c == 'e' || c == 'E';
  switch (number_) {
    case Number::minus:
      if (is_digit(c)) return go(c == '0' ? Number::zero : Number::integer);
      break;
    case Number::integer:
      if (is_digit(c)) return go(Number::integer);
      [[fallthrough]];
    case Number::zero:
      if (c == '.') return go(Number::dot);
      if (e) return go(Number::e);
      break;
    case Number::dot:
      if (is_digit(c)) return go(Number::fraction);
      break;
    case Number::fraction:
      if (is_digit(c)) return go(Number::fraction);
      if (e) return go(Number::e);
      break;
    case Number::e:
      if (c == '+' || c == '-') return go(Number::sign);
      [[fallthrough]];
    case Number::sign:
    case Number::exponent:
      if (is_digit(c)) return go(Number::exponent);
      break;
  }
  if (!number_may_end()) return bad(c, at, finding);
  place_ = Place::comma_or_close;
  return put(c, at, finding);  // the byte after a number belongs to what follows
}

bool JsonScanner::number_may_end() const {
  return number_ == Number::zero || number_ == Number::integer || number_ == Number::fraction ||
         number_ == Number::exponent;
}

Search JsonScanner::string_ended(std::uint64_t at, Finding& finding) {
  place_ = is_key_ ? Place::colon : Place::comma_or_close;
  Capture captured = std::exchange(capture_, Capture::none);
  Span where{string_begin_, at + 1};
  switch (captured) {
    case Capture::none:
      if (depth_ == 0) return finding.invalid("the JSON body is not an object");
      return Search::still_looking;
    case Capture::key:
      if (text_ == "model") next_value_ = Capture::model;
      if (also_name_ && text_ == "name") next_value_ = Capture::name;
      return Search::still_looking;
    case Capture::model:
      if (text_.empty()) return finding.invalid("\"model\" is empty");
      finding.name = std::move(text_);
      finding.where = where;
      return Search::found;
    case Capture::name:
      name_fallback_ = std::move(text_);
      name_where_ = where;
      return Search::still_looking;
  }
  std::unreachable();
}

Search JsonScanner::open(bool object, Finding& finding) {
  if (depth_ == kMaxDepth) return finding.invalid("the JSON body is nested too deeply");
  objects_[depth_++] = object;
  place_ = object ? Place::key_or_close : Place::value_or_close;
  return Search::still_looking;
}

Search JsonScanner::close(char, Finding& finding) {
  place_ = Place::comma_or_close;
  if (--depth_ > 0) return Search::still_looking;
  if (name_fallback_.empty()) return Search::absent;
  finding.name = std::move(name_fallback_);
  finding.where = name_where_;
  return Search::found;
}

Search JsonScanner::keep(char c, Finding& finding) {
  if (capture_ == Capture::none) return Search::still_looking;
  if (capture_ == Capture::key) {
    if (text_.size() < kMaxKey) text_ += c;
    return Search::still_looking;
  }
  if (text_.size() == kMaxModelName)
    return finding.invalid(fmt::format("\"model\" is longer than {} bytes", kMaxModelName));
  text_ += c;
  return Search::still_looking;
}

Search JsonScanner::keep_code_point(std::uint32_t point, Finding& finding) {
  for (char c : utf8(point))
    if (Search kept = keep(c, finding); kept != Search::still_looking) return kept;
  return Search::still_looking;
}

// Half a pair names no character; what stands for it is what other readers put there too.
Search JsonScanner::drop_lone_surrogate(Finding& finding) {
  if (std::exchange(high_surrogate_, 0) == 0) return Search::still_looking;
  return keep_code_point(kReplacement, finding);
}

Search JsonScanner::bad(char c, std::uint64_t at, Finding& finding) const {
  auto byte = static_cast<unsigned char>(c);
  if (byte >= 0x20 && byte < 0x7F)
    return finding.invalid(fmt::format("the body is not valid JSON: unexpected '{}' at byte {}", c, at));
  return finding.invalid(
      fmt::format("the body is not valid JSON: unexpected byte {:#04x} at byte {}", byte, at));
}

}  // namespace mgpu::gateway
