#include "http/message.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "http/beast.h"

namespace mgpu::http {
namespace {

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

void append_headers(std::string& wire, const Headers& headers) {
  for (const auto& [name, value] : headers) wire.append(name).append(": ").append(value).append("\r\n");
}

void append_length(std::string& wire, const Length& length) {
  wire += length ? fmt::format("Content-Length: {}\r\n", *length) : "Transfer-Encoding: chunked\r\n";
}

}  // namespace

std::string_view header(const Headers& headers, std::string_view name) {
  for (const auto& [known, value] : headers)
    if (same_name(known, name)) return value;
  return {};
}

std::string to_wire(const RequestHead& head) {
  std::string wire = fmt::format("{} {} HTTP/1.1\r\n", head.method, head.target);
  append_headers(wire, head.headers);
  const bool never_has_one = head.method == "GET" || head.method == "HEAD" || head.method == "DELETE";
  if (head.length != Length{0} || !never_has_one) append_length(wire, head.length);
  return wire += "\r\n";
}

bool bodiless(int status) { return status < 200 || status == 204 || status == 304; }

std::string to_wire(const AnswerHead& head, Manner manner) {
  const auto reason = beast_http::obsolete_reason(static_cast<beast_http::status>(head.status));
  std::string wire =
      fmt::format("HTTP/1.1 {} {}\r\n", head.status, std::string_view(reason.data(), reason.size()));
  append_headers(wire, head.headers);
  const bool until_close = !head.length && manner.http_1_0;
  if (!bodiless(head.status) && !until_close) append_length(wire, head.length);
  if (!manner.keep_alive && head.status != 101) wire += "Connection: close\r\n";
  if (manner.keep_alive && manner.http_1_0) wire += "Connection: keep-alive\r\n";
  return wire += "\r\n";
}

bool is_unix(const HostPort& where) { return where.host.starts_with('/'); }

Result<HostPort> parse_host_port(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  HostPort parsed;
  if (colon != std::string_view::npos) {
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    const std::string_view digits = text.substr(colon + 1);
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.port);
    parsed.host = host;
    if (!host.empty() && error == std::errc{} && end == digits.data() + digits.size()) return parsed;
  }
  return fail(Code::invalid_request, fmt::format("\"{}\" is not host:port", text));
}

std::string chunk_front(std::size_t size) { return fmt::format("{:x}\r\n", size); }

}  // namespace mgpu::http
