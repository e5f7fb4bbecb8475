#include "client/response_parser.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <utility>

namespace mgpu::client {
namespace {

std::string to_lower(std::string_view text) {
  std::string result(text);
  std::ranges::transform(result, result.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <class Number>
bool parse_number(std::string_view text, Number& number, int base = 10) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

bool ResponseParser::feed(std::string_view bytes) {
  buffer_ += bytes;
  while (!malformed_ && parse_step()) {
  }
  return !malformed_;
}

bool ResponseParser::end_of_input() {
  if (state_ == State::until_close) state_ = State::complete;
  return is_complete();
}

std::string ResponseParser::header(const std::string& name) const {
  const auto found = headers_.find(name);
  return found == headers_.end() ? "" : found->second;
}

// False: more bytes are needed, or the response is malformed.
bool ResponseParser::parse_step() {
  std::string line;
  switch (state_) {
    case State::head:
      return take_head();
    case State::length:
      return take_data(State::complete);
    case State::until_close:
      body_ += std::exchange(buffer_, {});
      return false;
    case State::chunk_size:
      return take_chunk_size();
    case State::chunk_data:
      return take_data(State::chunk_end);
    case State::chunk_end:
      if (!take_line(line)) return false;
      state_ = State::chunk_size;
      return true;
    case State::trailer:
      if (!take_line(line)) return false;
      if (line.empty()) state_ = State::complete;
      return true;
    case State::complete:
      return false;
  }
  return false;
}

bool ResponseParser::take_head() {
  const std::size_t end = buffer_.find("\r\n\r\n");
  if (end == std::string::npos) {
    malformed_ = buffer_.size() > kMaxHeader;
    return false;
  }
  malformed_ = !parse_head(std::string_view(buffer_).substr(0, end + 2));
  buffer_.erase(0, end + 4);
  return !malformed_;
}

bool ResponseParser::parse_head(std::string_view head) {
  headers_.clear();
  if (!head.starts_with("HTTP/1.") || head.size() < 12 || !parse_number(head.substr(9, 3), status_))
    return false;
  head.remove_prefix(head.find("\r\n") + 2);
  while (!head.empty()) {
    const std::string_view line = head.substr(0, head.find("\r\n"));
    head.remove_prefix(line.size() + 2);
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    headers_[to_lower(line.substr(0, colon))] = trimmed(line.substr(colon + 1));
  }
  if (status_ >= 100 && status_ < 200) return true;  // 100 Continue: the real head follows
  if (status_ == 204 || status_ == 304) {
    state_ = State::complete;
  } else if (to_lower(header("transfer-encoding")) == "chunked") {
    state_ = State::chunk_size;
  } else if (headers_.contains("content-length")) {
    state_ = State::length;
    return parse_number(headers_["content-length"], remaining_);
  } else {
    state_ = State::until_close;
  }
  return true;
}

bool ResponseParser::take_chunk_size() {
  std::string line;
  if (!take_line(line)) return false;
  if (!parse_number(trimmed(std::string_view(line).substr(0, line.find(';'))), remaining_, 16)) {
    malformed_ = true;
    return false;
  }
  state_ = remaining_ == 0 ? State::trailer : State::chunk_data;
  return true;
}

bool ResponseParser::take_data(State next) {
  const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(remaining_, buffer_.size()));
  body_.append(buffer_, 0, size);
  buffer_.erase(0, size);
  remaining_ -= size;
  if (remaining_ == 0) state_ = next;
  return remaining_ == 0;
}

bool ResponseParser::take_line(std::string& line) {
  const std::size_t end = buffer_.find("\r\n");
  if (end == std::string::npos) {
    malformed_ = buffer_.size() > kMaxHeader;
    return false;
  }
  line = buffer_.substr(0, end);
  buffer_.erase(0, end + 2);
  return true;
}

}  // namespace mgpu::client
