#include "http/message.h"

#include <fmt/format.h>

#include "base/ascii.h"

namespace mgpu::http {
namespace {

void append_headers(std::string& wire, const Headers& headers) {
  for (const auto& [name, value] : headers) wire.append(name).append(": ").append(value).append("\r\n");
}

// Reason phrases are for readers of the wire; programs use the number. Only the statuses in use.
std::string_view reason_phrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Status";
  }
}

void append_length(std::string& wire, const BodyLength& length) {
  wire += length ? fmt::format("Content-Length: {}\r\n", *length) : "Transfer-Encoding: chunked\r\n";
}

}  // namespace

std::string_view header(const Headers& headers, std::string_view name) {
  for (const auto& [known, value] : headers)
    if (equals_ignore_case(known, name)) return value;
  return {};
}

std::string joined_header(const Headers& headers, std::string_view name) {
  std::string joined;
  for (const auto& [known, value] : headers) {
    if (!equals_ignore_case(known, name)) continue;
    if (!joined.empty()) joined += ", ";
    joined += value;
  }
  return joined;
}

std::string serialize_head(const RequestHead& head) {
  std::string wire = fmt::format("{} {} HTTP/1.1\r\n", head.method, head.target);
  append_headers(wire, head.headers);
  const bool never_has_one = head.method == "GET" || head.method == "HEAD" || head.method == "DELETE";
  if (head.length != BodyLength{0} || !never_has_one) append_length(wire, head.length);
  return wire += "\r\n";
}

bool is_bodiless(int status) { return status < 200 || status == 204 || status == 304; }

std::string serialize_head(const ResponseHead& head, ConnectionMode mode) {
  std::string wire = fmt::format("HTTP/1.1 {} {}\r\n", head.status, reason_phrase(head.status));
  append_headers(wire, head.headers);
  const bool until_close = !head.length && mode.http_1_0;
  if (!is_bodiless(head.status) && !until_close) append_length(wire, head.length);
  if (!mode.keep_alive && head.status != 101) wire += "Connection: close\r\n";
  if (mode.keep_alive && mode.http_1_0) wire += "Connection: keep-alive\r\n";
  return wire += "\r\n";
}

std::string chunk_prefix(std::size_t size) { return fmt::format("{:x}\r\n", size); }

}  // namespace mgpu::http
