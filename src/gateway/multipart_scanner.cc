#include "gateway/multipart_scanner.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"

namespace mgpu::gateway {
namespace {

// `text` without blanks at both ends and without the CR of the line end.
std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

// Some clients send a value with the line break of the file that they read it from.
std::string_view without_blank_ends(std::string_view value) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const std::size_t begin = value.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return value.substr(begin, value.find_last_not_of(kBlanks) - begin + 1);
}

// Removes the quoted string that `text` starts with, and returns its content.
std::string take_quoted(std::string_view& text) {
  std::string unquoted;
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);
    unquoted += text.front();
    text.remove_prefix(1);
  }
  if (!text.empty()) text.remove_prefix(1);
  return unquoted;
}

std::vector<std::size_t> kmp_failure_table(std::string_view pattern) {
  std::vector<std::size_t> table(pattern.size(), 0);
  for (std::size_t i = 1, k = 0; i < pattern.size(); ++i) {
    while (k > 0 && pattern[i] != pattern[k]) k = table[k - 1];
    if (pattern[i] == pattern[k]) ++k;
    table[i] = k;
  }
  return table;
}

// The value of a parameter of a header's value: "form-data; name=model" has "name". Empty if it is absent.
std::string parse_parameter(std::string_view rest, std::string_view wanted) {
  std::size_t semicolon = rest.find(';');
  while (semicolon != rest.npos) {
    rest = trimmed(rest.substr(semicolon + 1));
    std::size_t equals = rest.find_first_of("=;");
    if (equals == rest.npos) return {};
    std::string_view key = trimmed(rest.substr(0, equals));
    if (rest[equals] == ';') {
      semicolon = equals;
      continue;
    }
    rest = trimmed(rest.substr(equals + 1));
    std::string value;
    if (!rest.empty() && rest.front() == '"') {
      value = take_quoted(rest);
      semicolon = rest.find(';');
    } else {
      semicolon = rest.find(';');
      value = trimmed(rest.substr(0, semicolon));
    }
    if (equals_ignore_case(key, wanted)) return value;
  }
  return {};
}

}  // namespace

std::string parse_boundary(std::string_view content_type) {
  if (!starts_with_ignore_case(content_type, "multipart/")) return {};
  return parse_parameter(content_type, "boundary");
}

std::string parse_part_name(std::string_view line) {
  std::size_t colon = line.find(':');
  if (colon == line.npos || !equals_ignore_case(trimmed(line.substr(0, colon)), "content-disposition"))
    return {};
  return parse_parameter(line.substr(colon + 1), "name");
}

ScanStatus MultipartScanner::put(char c, std::uint64_t offset, ScanResult& result) {
  switch (state_) {
    case State::content:
      return put_content(c, result);
    case State::after_delimiter:
      return put_after_delimiter(c, result);
    case State::preamble:
      if (c == '\n') return end_preamble_line(result);
      if (line_.size() <= kMaxBoundary) line_ += c;  // a longer line is not the boundary
      return ScanStatus::still_looking;
    case State::boundary:
      if (c == '\n') return end_boundary_line(result);
      if (line_.size() == kMaxBoundary) return result.set_invalid("the multipart boundary is too long");
      line_ += c;
      return ScanStatus::still_looking;
    case State::header:
      if (c == '\n') return end_header_line(offset);
      if (line_.size() == kMaxPartHeaderLine)
        return result.set_invalid("a header of a multipart part is too long");
      line_ += c;
      return ScanStatus::still_looking;
  }
  std::unreachable();
}

ScanStatus MultipartScanner::finish(ScanResult& result) {
  return result.set_invalid("the multipart body ends before its closing boundary");
}

ScanStatus MultipartScanner::end_preamble_line(ScanResult& result) {
  if (trimmed(line_) == declared_boundary_) return end_boundary_line(result);
  line_.clear();
  return ScanStatus::still_looking;
}

ScanStatus MultipartScanner::end_boundary_line(ScanResult& result) {
  bool crlf = !line_.empty() && line_.back() == '\r';
  std::string_view boundary = trimmed(line_);
  if (boundary.size() <= 2) return result.set_invalid("the multipart body has an empty boundary");
  delimiter_ = (crlf ? "\r\n" : "\n") + std::string(boundary);
  failure_table_ = kmp_failure_table(delimiter_);
  line_.clear();
  state_ = State::header;
  return ScanStatus::still_looking;
}

ScanStatus MultipartScanner::end_header_line(std::uint64_t offset) {
  std::string line = std::exchange(line_, {});
  std::string_view trimmed_line = trimmed(line);
  if (!trimmed_line.empty()) {
    if (parse_part_name(trimmed_line) == "model") is_model_part_ = true;
    return ScanStatus::still_looking;
  }
  state_ = State::content;
  value_.clear();
  value_begin_ = offset + 1;
  // The delimiter of a part without content follows the blank line directly; the line break of the blank line
  // is then also the delimiter's.
  header_break_bytes_ = delimiter_[0] == '\n' ? 1 : line.empty() ? 0 : 2;
  matched_ = header_break_bytes_;
  return ScanStatus::still_looking;
}

ScanStatus MultipartScanner::put_content(char c, ScanResult& result) {
  while (c != delimiter_[matched_]) {
    if (matched_ == 0) return append_value({&c, 1}, result);
    std::size_t shorter = failure_table_[matched_ - 1];
    if (ScanStatus kept = append_value(delimiter_.substr(0, matched_ - shorter), result);
        kept != ScanStatus::still_looking)
      return kept;
    matched_ = shorter;
  }
  if (++matched_ == delimiter_.size()) state_ = State::after_delimiter;
  return ScanStatus::still_looking;
}

// A delimiter is valid only if it is followed by "--" or by blanks alone, up to a line break of the same kind
// as the one before it: another boundary may have this one as its prefix, and a file may contain any bytes.
ScanStatus MultipartScanner::put_after_delimiter(char c, ScanResult& result) {
  bool blank = (c == ' ' || c == '\t' || c == '\r') && trimmed(line_).empty() && !line_.ends_with('\r');
  bool same_break = line_.ends_with('\r') == (delimiter_[0] == '\r');
  if (c == '\n' && same_break && trimmed(line_).empty()) return end_part(false, result);
  if (c == '-' && line_ == "-") return end_part(true, result);
  if ((c == '-' && line_.empty()) || (blank && line_.size() < kMaxBoundary)) {
    line_ += c;
    return ScanStatus::still_looking;
  }
  std::string unread = std::exchange(line_, {}) + c;
  state_ = State::content;
  matched_ = 0;
  ScanStatus kept = append_value(delimiter_, result);
  for (std::size_t i = 0; i < unread.size() && kept == ScanStatus::still_looking; ++i)
    kept = put_content(unread[i], result);
  return kept;
}

ScanStatus MultipartScanner::end_part(bool last, ScanResult& result) {
  if (is_model_part_) {
    result.range = {value_begin_, value_begin_ + value_.size()};
    result.name = without_blank_ends(value_);
    if (result.name.empty()) return result.set_invalid("the part \"model\" is empty");
    return ScanStatus::found;
  }
  line_.clear();
  state_ = State::header;
  return last ? ScanStatus::absent : ScanStatus::still_looking;
}

ScanStatus MultipartScanner::append_value(std::string_view bytes, ScanResult& result) {
  std::size_t not_content = std::min(header_break_bytes_, bytes.size());
  header_break_bytes_ -= not_content;
  bytes.remove_prefix(not_content);
  if (!is_model_part_) return ScanStatus::still_looking;
  if (value_.size() + bytes.size() > kMaxModelName)
    return result.set_invalid(fmt::format("the part \"model\" is longer than {} bytes", kMaxModelName));
  value_ += bytes;
  return ScanStatus::still_looking;
}

}  // namespace mgpu::gateway
