#include "gateway/multipart_scanner.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "base/ascii.h"

namespace mgpu::gateway {
namespace {

// With the CR of a line's end as well.
std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r'))
    text.remove_suffix(1);
  return text;
}

// Takes a quoted string (which `text` starts with) off its front and returns what it says.
std::string take_quoted(std::string_view& text) {
  std::string said;
  text.remove_prefix(1);
  while (!text.empty() && text.front() != '"') {
    if (text.front() == '\\' && text.size() > 1) text.remove_prefix(1);
    said += text.front();
    text.remove_prefix(1);
  }
  if (!text.empty()) text.remove_prefix(1);
  return said;
}

std::vector<std::size_t> kmp_fallback(std::string_view pattern) {
  std::vector<std::size_t> fallback(pattern.size(), 0);
  for (std::size_t i = 1, k = 0; i < pattern.size(); ++i) {
    while (k > 0 && pattern[i] != pattern[k]) k = fallback[k - 1];
    if (pattern[i] == pattern[k]) ++k;
    fallback[i] = k;
  }
  return fallback;
}

}  // namespace

std::string form_part_name(std::string_view line) {
  std::size_t colon = line.find(':');
  if (colon == line.npos || !equals_ignore_case(trimmed(line.substr(0, colon)), "content-disposition"))
    return {};
  std::string_view rest = line.substr(colon + 1);
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
    if (equals_ignore_case(key, "name")) return value;
  }
  return {};
}

Search MultipartScanner::put(char c, std::uint64_t at, Finding& finding) {
  switch (place_) {
    case Place::content:
      return put_content(c, finding);
    case Place::after_delimiter:
      return put_after_delimiter(c, finding);
    case Place::boundary:
      if (c == '\n') return boundary_known(finding);
      if (line_.size() == kMaxBoundary) return finding.invalid("the multipart boundary is too long");
      line_ += c;
      return Search::still_looking;
    case Place::header:
      if (c == '\n') return header_line(at);
      if (line_.size() == kMaxPartHeader) return finding.invalid("a header of a multipart part is too long");
      line_ += c;
      return Search::still_looking;
  }
  std::unreachable();
}

Search MultipartScanner::end(Finding& finding) {
  return finding.invalid("the multipart body ends before its closing boundary");
}

Search MultipartScanner::boundary_known(Finding& finding) {
  bool crlf = !line_.empty() && line_.back() == '\r';
  std::string_view boundary = trimmed(line_);
  if (boundary.size() <= 2) return finding.invalid("the multipart body has an empty boundary");
  delimiter_ = (crlf ? "\r\n" : "\n") + std::string(boundary);
  fallback_ = kmp_fallback(delimiter_);
  line_.clear();
  place_ = Place::header;
  return Search::still_looking;
}

Search MultipartScanner::header_line(std::uint64_t at) {
  std::string line = std::exchange(line_, {});
  std::string_view said = trimmed(line);
  if (!said.empty()) {
    if (form_part_name(said) == "model") wanted_ = true;
    return Search::still_looking;
  }
  place_ = Place::content;
  value_.clear();
  value_begin_ = at + 1;
  // A part without content has its delimiter right behind the blank line, whose break then is the
  // delimiter's.
  borrowed_ = delimiter_[0] == '\n' ? 1 : line.empty() ? 0 : 2;
  matched_ = borrowed_;
  return Search::still_looking;
}

Search MultipartScanner::put_content(char c, Finding& finding) {
  while (c != delimiter_[matched_]) {
    if (matched_ == 0) return keep({&c, 1}, finding);
    std::size_t shorter = fallback_[matched_ - 1];
    if (Search kept = keep(delimiter_.substr(0, matched_ - shorter), finding); kept != Search::still_looking)
      return kept;
    matched_ = shorter;
  }
  if (++matched_ == delimiter_.size()) place_ = Place::after_delimiter;
  return Search::still_looking;
}

// The delimiter counts only with "--" or nothing but blanks behind it, up to a line break like the one before
// it: another boundary may begin like ours, and a file may contain anything.
Search MultipartScanner::put_after_delimiter(char c, Finding& finding) {
  bool blank = (c == ' ' || c == '\t' || c == '\r') && trimmed(line_).empty() && !line_.ends_with('\r');
  bool same_break = line_.ends_with('\r') == (delimiter_[0] == '\r');
  if (c == '\n' && same_break && trimmed(line_).empty()) return part_ended(false, finding);
  if (c == '-' && line_ == "-") return part_ended(true, finding);
  if ((c == '-' && line_.empty()) || (blank && line_.size() < kMaxBoundary)) {
    line_ += c;
    return Search::still_looking;
  }
  std::string unread = std::exchange(line_, {}) + c;
  place_ = Place::content;
  matched_ = 0;
  Search kept = keep(delimiter_, finding);
  for (std::size_t i = 0; i < unread.size() && kept == Search::still_looking; ++i)
    kept = put_content(unread[i], finding);
  return kept;
}

Search MultipartScanner::part_ended(bool last, Finding& finding) {
  if (wanted_) {
    if (value_.empty()) return finding.invalid("the part \"model\" is empty");
    finding.where = {value_begin_, value_begin_ + value_.size()};
    finding.name = std::move(value_);
    return Search::found;
  }
  line_.clear();
  place_ = Place::header;
  return last ? Search::absent : Search::still_looking;
}

Search MultipartScanner::keep(std::string_view bytes, Finding& finding) {
  std::size_t not_content = std::min(borrowed_, bytes.size());
  borrowed_ -= not_content;
  bytes.remove_prefix(not_content);
  if (!wanted_) return Search::still_looking;
  if (value_.size() + bytes.size() > kMaxModelName)
    return finding.invalid(fmt::format("the part \"model\" is longer than {} bytes", kMaxModelName));
  value_ += bytes;
  return Search::still_looking;
}

}  // namespace mgpu::gateway
