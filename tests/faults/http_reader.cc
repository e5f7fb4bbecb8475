#include "http_reader.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

namespace mgpu::faults {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;

bool equals_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, {}, [](unsigned char c) { return std::tolower(c); },
      [](unsigned char c) { return std::tolower(c); });
}

bool is_token(std::string_view text) {
  constexpr std::string_view kOthers = "!#$%&'*+-.^_`|~";
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || kOthers.contains(c);
  });
}

bool is_text(std::string_view text) {  // of a header value or reason phrase: no control characters
  return std::ranges::all_of(
      text, [](char c) { return c == '\t' || (static_cast<unsigned char>(c) >= 32 && c != 127); });
}

bool is_visible(std::string_view text) {
  return !text.empty() &&
         std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) > 32 && c != 127; });
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool parse_number(std::string_view text, std::size_t& value, int base) {
  if (text.empty() || text.size() > 15) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

std::size_t count_headers(const Message& message, std::string_view name) {
  return static_cast<std::size_t>(std::ranges::count_if(
      message.headers, [&](const auto& line) { return equals_ignoring_case(line.first, name); }));
}

}  // namespace

std::string_view Message::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (equals_ignoring_case(key, name)) return value;
  return {};
}

bool Message::closes_connection() const {
  return until_close || equals_ignoring_case(header("Connection"), "close") ||
         (http_1_0 && !equals_ignoring_case(header("Connection"), "keep-alive"));
}

std::size_t MessageReader::complete_count() const {
  return static_cast<std::size_t>(std::ranges::count(messages, true, &Message::complete));
}

void MessageReader::set_problem(std::string what) {
  if (problem.empty()) problem = std::move(what);
  state_ = State::bad;
}

void MessageReader::feed(std::string_view bytes) {
  if (state_ == State::raw) {
    raw += bytes;
    return;
  }
  buffer_ += bytes;
  while (read_part()) {
  }
  buffer_.erase(0, read_offset_);
  read_offset_ = 0;
}

void MessageReader::end_of_stream(bool reset) {
  if (state_ == State::until_close && !reset) messages.back().complete = true;
}

// Parses the next part of a message; false if it is incomplete.
bool MessageReader::read_part() {
  const std::string_view rest = std::string_view(buffer_).substr(read_offset_);
  if (rest.empty()) return false;
  const auto line_end = [&]() -> std::size_t {
    const std::size_t end = rest.find("\r\n");
    const std::size_t bare = rest.find('\n');
    if (bare != rest.npos && (end == rest.npos || bare < end))
      set_problem("a bare LF ends a line of a chunked body");
    return state_ == State::bad ? rest.npos : end;
  };
  switch (state_) {
    case State::head: {
      if (!is_message_due()) {
        set_problem(fmt::format("bytes beyond the last answer that is due: \"{}\"", escaped(rest, 200)));
        return false;
      }
      const std::size_t end = rest.find("\r\n\r\n");
      if (end == rest.npos) {
        if (rest.size() > kMaxHead) set_problem("a head without end");
        return false;
      }
      read_offset_ += end + 4;
      read_head(rest.substr(0, end));
      return state_ != State::bad;
    }
    case State::length: {
      const std::string_view part = rest.substr(0, bytes_left_);
      messages.back().body += part;
      read_offset_ += part.size();
      bytes_left_ -= part.size();
      if (bytes_left_ > 0) return false;
      messages.back().complete = true;
      state_ = State::head;
      return true;
    }
    case State::chunk_size: {
      const std::size_t end = line_end();
      if (end == rest.npos) return false;
      const std::string_view line = rest.substr(0, std::min(end, rest.find(';')));
      if (!parse_number(line, bytes_left_, 16)) {
        set_problem(fmt::format("\"{}\" is no chunk size", escaped(rest.substr(0, end), 100)));
        return false;
      }
      read_offset_ += end + 2;
      state_ = bytes_left_ == 0 ? State::trailers : State::chunk;
      return true;
    }
    case State::chunk: {
      const std::string_view part = rest.substr(0, bytes_left_);
      messages.back().body += part;
      read_offset_ += part.size();
      bytes_left_ -= part.size();
      if (bytes_left_ == 0) state_ = State::chunk_end;
      return true;
    }
    case State::chunk_end:
      if (rest.size() < 2) return false;
      if (!rest.starts_with("\r\n")) {
        set_problem(fmt::format("no CRLF after a chunk, but \"{}\"", escaped(rest, 100)));
        return false;
      }
      read_offset_ += 2;
      state_ = State::chunk_size;
      return true;
    case State::trailers: {
      const std::size_t end = line_end();
      if (end == rest.npos) return false;
      read_offset_ += end + 2;
      if (end > 0) return true;
      messages.back().complete = true;
      state_ = State::head;
      return true;
    }
    case State::until_close:
      messages.back().body += rest;
      read_offset_ += rest.size();
      return false;
    case State::raw:
      raw += rest;
      read_offset_ += rest.size();
      return false;
    case State::bad:
      return false;
  }
  return false;
}

void MessageReader::read_head(std::string_view head) {
  Message message;
  const std::string shown = escaped(head, 300);
  bool first = true;
  while (!head.empty() || first) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    if (line.contains('\r') || line.contains('\n') || !is_text(line))
      return set_problem("a control character, bare CR or LF in a head: " + shown);
    if (std::exchange(first, false)) {
      if (!parse_first_line(line, message)) return set_problem("a malformed first line: " + shown);
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon)))
      return set_problem("a malformed header: " + shown);
    message.headers.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  }
  const std::size_t lengths = count_headers(message, "Content-Length"),
                    codings = count_headers(message, "Transfer-Encoding");
  if (lengths + codings > 1) return set_problem("more than one framing: " + shown);
  if (lengths == 1 && !parse_number(message.header("Content-Length"), bytes_left_, 10))
    return set_problem("a malformed Content-Length: " + shown);
  if (codings == 1 && message.header("Transfer-Encoding") != "chunked")
    return set_problem("an odd Transfer-Encoding: " + shown);
  Framing framing = lengths == 1 ? Framing::length : codings == 1 ? Framing::chunks : Framing::none;
  messages.push_back(std::move(message));
  if (!frame_body(messages.back(), framing)) return;
  if (state_ == State::bad) return;
  if (is_raw) {
    messages.back().complete = true;
    state_ = State::raw;
    return;
  }
  if (framing == Framing::length && bytes_left_ == 0) framing = Framing::none;
  messages.back().complete = framing == Framing::none;
  messages.back().until_close = framing == Framing::until_close;
  state_ = framing == Framing::none     ? State::head
           : framing == Framing::length ? State::length
           : framing == Framing::chunks ? State::chunk_size
                                        : State::until_close;
}

bool RequestReader::parse_first_line(std::string_view line, Message& message) {
  const std::size_t one = line.find(' '), two = line.rfind(' ');
  if (one == line.npos || two <= one) return false;
  message.method = line.substr(0, one);
  message.target = line.substr(one + 1, two - one - 1);
  return is_token(message.method) && is_visible(message.target) && line.substr(two + 1) == "HTTP/1.1";
}

bool RequestReader::frame_body(Message& message, Framing&) {
  if (count_headers(message, "Host") != 1 || !is_visible(message.header("Host")))
    set_problem("not exactly one Host");
  if (count_headers(message, "Expect") != 0) set_problem("Expect was passed on");
  is_raw = is_upgrade && is_upgrade(message);
  return true;
}

bool ResponseReader::parse_first_line(std::string_view line, Message& message) {
  if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) return false;
  std::size_t status = 0;
  if (line.size() < 12 || !parse_number(line.substr(9, 3), status, 10) || status < 100 || status > 999)
    return false;
  if (line.size() > 12 && line[12] != ' ') return false;
  message.status = static_cast<int>(status);
  message.http_1_0 = line[7] == '0';
  return true;
}

bool ResponseReader::frame_body(Message& message, Framing& framing) {
  const SentRequest request =
      messages.size() <= sent_requests.size() ? sent_requests[messages.size() - 1] : SentRequest{};
  if (message.status == 101) {
    if (!request.upgrade) set_problem("101 to a client that did not ask for it");
    is_raw = true;
    return true;
  }
  if (message.status < 200) {
    if (request.http_1_0) set_problem("an interim answer to an HTTP/1.0 client");
    messages.pop_back();
    ++interim_count;
    return false;
  }
  const bool bodiless = message.status == 204 || message.status == 304 || request.method == "HEAD";
  if (message.status == 204 && framing != Framing::none) set_problem("a 204 with a body");
  if (request.http_1_0 && framing == Framing::chunks) set_problem("chunks to an HTTP/1.0 client");
  const bool no_length = message.header("Content-Length").empty() && framing == Framing::none;
  if (bodiless)
    framing = Framing::none;
  else if (no_length)
    framing = Framing::until_close;
  return true;
}

std::string escaped(std::string_view bytes, std::size_t limit) {
  std::string text;
  for (const char c : bytes.substr(0, limit)) {
    if (c == '\r')
      text += "\\r";
    else if (c == '\n')
      text += "\\n";
    else if (c == '\\' || c == '"')
      (text += '\\') += c;
    else if (static_cast<unsigned char>(c) < 32 || static_cast<unsigned char>(c) > 126)
      text += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    else
      text += c;
  }
  if (bytes.size() > limit) text += fmt::format("... ({} bytes)", bytes.size());
  return text;
}

}  // namespace mgpu::faults
