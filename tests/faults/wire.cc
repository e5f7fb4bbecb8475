#include "wire.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdint>

#include <fmt/format.h>

namespace mgpu::faults {
namespace {

constexpr std::size_t kMaxHead = 64 * 1024;

bool same(std::string_view a, std::string_view b) {
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

bool is_text(std::string_view text) {  // of a header's value or a reason: no control characters
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

bool number(std::string_view text, std::size_t& value, int base) {
  if (text.empty() || text.size() > 15) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  return error == std::errc{} && end == text.data() + text.size();
}

std::size_t count(const Message& message, std::string_view name) {
  return static_cast<std::size_t>(
      std::ranges::count_if(message.headers, [&](const auto& line) { return same(line.first, name); }));
}

}  // namespace

std::string_view Message::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (same(key, name)) return value;
  return {};
}

bool Message::closes() const {
  return until_close || same(header("Connection"), "close") ||
         (http_1_0 && !same(header("Connection"), "keep-alive"));
}

std::size_t Reader::complete() const {
  return static_cast<std::size_t>(std::ranges::count(messages, true, &Message::complete));
}

void Reader::complain(std::string what) {
  if (problem.empty()) problem = std::move(what);
  state_ = State::bad;
}

void Reader::feed(std::string_view bytes) {
  if (state_ == State::raw) {
    raw += bytes;
    return;
  }
  buffer_ += bytes;
  while (step()) {
  }
  buffer_.erase(0, at_);
  at_ = 0;
}

void Reader::end(bool reset) {
  if (state_ == State::until_close && !reset) messages.back().complete = true;
}

// One part of a message, if it is there.
bool Reader::step() {
  const std::string_view rest = std::string_view(buffer_).substr(at_);
  if (rest.empty()) return false;
  const auto line_end = [&]() -> std::size_t {
    const std::size_t end = rest.find("\r\n");
    const std::size_t bare = rest.find('\n');
    if (bare != rest.npos && (end == rest.npos || bare < end))
      complain("a bare LF ends a line of a chunked body");
    return state_ == State::bad ? rest.npos : end;
  };
  switch (state_) {
    case State::head: {
      if (!may_begin()) {
        complain(fmt::format("bytes beyond the last answer that is due: \"{}\"", escaped(rest, 200)));
        return false;
      }
      const std::size_t end = rest.find("\r\n\r\n");
      if (end == rest.npos) {
        if (rest.size() > kMaxHead) complain("a head without end");
        return false;
      }
      at_ += end + 4;
      read_head(rest.substr(0, end));
      return state_ != State::bad;
    }
    case State::length: {
      const std::string_view part = rest.substr(0, left_);
      messages.back().body += part;
      at_ += part.size();
      left_ -= part.size();
      if (left_ > 0) return false;
      messages.back().complete = true;
      state_ = State::head;
      return true;
    }
    case State::chunk_size: {
      const std::size_t end = line_end();
      if (end == rest.npos) return false;
      const std::string_view line = rest.substr(0, std::min(end, rest.find(';')));
      if (!number(line, left_, 16)) {
        complain(fmt::format("\"{}\" is no chunk size", escaped(rest.substr(0, end), 100)));
        return false;
      }
      at_ += end + 2;
      state_ = left_ == 0 ? State::trailers : State::chunk;
      return true;
    }
    case State::chunk: {
      const std::string_view part = rest.substr(0, left_);
      messages.back().body += part;
      at_ += part.size();
      left_ -= part.size();
      if (left_ == 0) state_ = State::chunk_end;
      return true;
    }
    case State::chunk_end:
      if (rest.size() < 2) return false;
      if (!rest.starts_with("\r\n")) {
        complain(fmt::format("no CRLF after a chunk, but \"{}\"", escaped(rest, 100)));
        return false;
      }
      at_ += 2;
      state_ = State::chunk_size;
      return true;
    case State::trailers: {
      const std::size_t end = line_end();
      if (end == rest.npos) return false;
      at_ += end + 2;
      if (end > 0) return true;
      messages.back().complete = true;
      state_ = State::head;
      return true;
    }
    case State::until_close:
      messages.back().body += rest;
      at_ += rest.size();
      return false;
    case State::raw:
      raw += rest;
      at_ += rest.size();
      return false;
    case State::bad:
      return false;
  }
  return false;
}

void Reader::read_head(std::string_view head) {
  Message message;
  const std::string shown = escaped(head, 300);
  bool first = true;
  while (!head.empty() || first) {
    const std::size_t end = std::min(head.find("\r\n"), head.size());
    const std::string_view line = head.substr(0, end);
    head.remove_prefix(std::min(end + 2, head.size()));
    if (line.contains('\r') || line.contains('\n') || !is_text(line))
      return complain("a control character, bare CR or LF in a head: " + shown);
    if (std::exchange(first, false)) {
      if (!first_line(line, message)) return complain("a malformed first line: " + shown);
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == line.npos || !is_token(line.substr(0, colon)))
      return complain("a malformed header: " + shown);
    message.headers.emplace_back(line.substr(0, colon), trimmed(line.substr(colon + 1)));
  }
  const std::size_t lengths = count(message, "Content-Length"), codings = count(message, "Transfer-Encoding");
  if (lengths + codings > 1) return complain("more than one framing: " + shown);
  if (lengths == 1 && !number(message.header("Content-Length"), left_, 10))
    return complain("a malformed Content-Length: " + shown);
  if (codings == 1 && message.header("Transfer-Encoding") != "chunked")
    return complain("an odd Transfer-Encoding: " + shown);
  Body body = lengths == 1 ? Body::length : codings == 1 ? Body::chunks : Body::none;
  messages.push_back(std::move(message));
  if (!begun(messages.back(), body)) return;
  if (state_ == State::bad) return;
  if (is_raw) {
    messages.back().complete = true;
    state_ = State::raw;
    return;
  }
  if (body == Body::length && left_ == 0) body = Body::none;
  messages.back().complete = body == Body::none;
  messages.back().until_close = body == Body::until_close;
  state_ = body == Body::none     ? State::head
           : body == Body::length ? State::length
           : body == Body::chunks ? State::chunk_size
                                  : State::until_close;
}

bool RequestReader::first_line(std::string_view line, Message& message) {
  const std::size_t one = line.find(' '), two = line.rfind(' ');
  if (one == line.npos || two <= one) return false;
  message.method = line.substr(0, one);
  message.target = line.substr(one + 1, two - one - 1);
  return is_token(message.method) && is_visible(message.target) && line.substr(two + 1) == "HTTP/1.1";
}

bool RequestReader::begun(Message& message, Body&) {
  if (count(message, "Host") != 1 || !is_visible(message.header("Host"))) complain("not exactly one Host");
  if (count(message, "Expect") != 0) complain("Expect was passed on");
  is_raw = becomes_raw && becomes_raw(message);
  return true;
}

bool ResponseReader::first_line(std::string_view line, Message& message) {
  if (!line.starts_with("HTTP/1.1 ") && !line.starts_with("HTTP/1.0 ")) return false;
  std::size_t status = 0;
  if (line.size() < 12 || !number(line.substr(9, 3), status, 10) || status < 100 || status > 999)
    return false;
  if (line.size() > 12 && line[12] != ' ') return false;
  message.status = static_cast<int>(status);
  message.http_1_0 = line[7] == '0';
  return true;
}

bool ResponseReader::begun(Message& message, Body& body) {
  const Asked request = messages.size() <= asked.size() ? asked[messages.size() - 1] : Asked{};
  if (message.status == 101) {
    if (!request.upgrade) complain("101 to a client that did not ask for it");
    is_raw = true;
    return true;
  }
  if (message.status < 200) {
    if (request.http_1_0) complain("an interim answer to an HTTP/1.0 client");
    messages.pop_back();
    ++interims;
    return false;
  }
  const bool bodiless = message.status == 204 || message.status == 304 || request.method == "HEAD";
  if (message.status == 204 && body != Body::none) complain("a 204 with a body");
  if (request.http_1_0 && body == Body::chunks) complain("chunks to an HTTP/1.0 client");
  const bool no_length = message.header("Content-Length").empty() && body == Body::none;
  if (bodiless)
    body = Body::none;
  else if (no_length)
    body = Body::until_close;
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
