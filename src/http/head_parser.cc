#include "http/head_parser.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

#include <fmt/format.h>

#include "base/ascii.h"

namespace mgpu::http {
namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::size_t kMaxMethodLength = 32;

bool is_token_char(char c) {
  static constexpr std::string_view kTokenSymbols = "!#$%&'*+-.^_`|~";
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || kTokenSymbols.contains(c);
}

bool is_text_char(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte == '\t' || (byte >= ' ' && byte != 0x7f);
}

std::unexpected<Error> parse_error(std::string why) {
  return fail(ErrorCode::invalid_request, std::move(why));
}

// Removes the next line from `rest`, and returns it without its end. REQUIRES: there is one (find_head_end).
std::string_view next_line(std::string_view& rest) {
  const std::size_t end = rest.find(kLineEnd);
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(std::min(rest.size(), end + kLineEnd.size()));
  return line;
}

// The headers that define the message's framing and connection.
struct HeaderFields {
  Headers end_to_end{};
  std::optional<std::uint64_t> length{};
  bool chunked = false;
  bool close = false, keep_alive = false;
  std::optional<std::string_view> host{};
};

Result<std::uint64_t> parse_length(std::string_view text) {
  constexpr std::size_t kDigits = 18;  // always less than 2^63
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool digits = !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (!digits || text.size() > kDigits || error != std::errc{} || end != text.data() + text.size())
    return parse_error("Content-Length is no number of bytes");
  return value;
}

Result<void> parse_field(std::string_view name, std::string_view value, HeaderFields& fields) {
  if (equals_ignore_case(name, "content-length")) {
    if (fields.length) return parse_error("Content-Length is there twice");
    const auto length = parse_length(value);
    if (!length) return std::unexpected(length.error());
    fields.length = *length;
    return {};
  }
  if (equals_ignore_case(name, "transfer-encoding")) {
    if (fields.chunked) return parse_error("Transfer-Encoding is there twice");
    if (!equals_ignore_case(value, "chunked"))
      return fail(ErrorCode::not_supported,
                  "of all transfer codings only a single \"chunked\" is understood");
    fields.chunked = true;
    return {};
  }
  if (equals_ignore_case(name, "connection")) {
    fields.close |= list_contains(value, "close");
    fields.keep_alive |= list_contains(value, "keep-alive");
  }
  if (equals_ignore_case(name, "host")) {
    if (fields.host) return parse_error("Host is there twice");
    fields.host = value;
  }
  fields.end_to_end.emplace_back(name, value);
  return {};
}

Result<HeaderFields> parse_fields(std::string_view lines) {
  HeaderFields fields;
  std::size_t count = 0;
  while (true) {
    const std::string_view line = next_line(lines);
    if (line.empty()) break;
    if (++count > kMaxHeaderLines)
      return fail(ErrorCode::too_large, fmt::format("more than {} header lines", kMaxHeaderLines));
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || !is_token(line.substr(0, colon)))
      return parse_error("a header line that is not \"name: value\"");
    const std::string_view value = trimmed(line.substr(colon + 1));
    if (!std::ranges::all_of(value, is_text_char)) return parse_error("a control character in a header");
    if (auto read = parse_field(line.substr(0, colon), value, fields); !read)
      return std::unexpected(read.error());
  }
  if (fields.chunked && fields.length)
    return parse_error("Content-Length beside Transfer-Encoding: the body could end in two places");
  return fields;
}

// Whether it may be the value of Host: "example.org", "10.0.0.1:80", "[::1]:8090" (RFC 3986, 3.2.2, 3.2.3).
bool is_authority(std::string_view text) {
  static constexpr std::string_view kInName = "-._~%";  // the part of RFC 3986 that real host names use
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) return false;
    const std::string_view address = text.substr(1, end - 1);
    const auto in_address = [](char c) {
      return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':' || c == '.';
    };
    if (address.empty() || !std::ranges::all_of(address, in_address)) return false;
    port = text.substr(end + 1);
  } else {
    const std::size_t end = std::min(text.find(':'), text.size());
    const auto in_name = [](char c) {
      return std::isalnum(static_cast<unsigned char>(c)) != 0 || kInName.contains(c);
    };
    if (end == 0 || !std::ranges::all_of(text.substr(0, end), in_name)) return false;
    port = text.substr(end);
  }
  if (port.empty()) return true;
  constexpr std::size_t kPortDigits = 5;
  port.remove_prefix(port.starts_with(':') ? 1 : 0);
  unsigned number = 0;
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
  return port.size() <= kPortDigits && error == std::errc{} && end == port.data() + port.size() &&
         number <= 0xffff;
}

// The target in origin form. Absolute form loses its scheme and authority, which must equal Host: otherwise a
// proxy in front of the daemon could route by one of them, and the daemon by the other.
Result<std::string> to_origin_form(std::string_view target, std::string_view method,
                                   std::optional<std::string_view> host) {
  const auto visible = [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7f; };
  if (!std::ranges::all_of(target, visible)) return parse_error("a space or control character in the target");
  if (target.starts_with('/')) return std::string(target);
  if (target == "*" && method == "OPTIONS") return std::string(target);
  for (const std::string_view scheme : {"http://", "https://"}) {
    if (target.size() < scheme.size() || !equals_ignore_case(target.substr(0, scheme.size()), scheme))
      continue;
    const std::string_view rest = target.substr(scheme.size());
    const std::size_t end = std::min(rest.find_first_of("/?#"), rest.size());
    if (!is_authority(rest.substr(0, end))) return parse_error("the target's host is malformed");
    if (host && rest.substr(0, end) != *host) return parse_error("the target names another host than Host");
    std::string path(rest.substr(end));
    if (!path.starts_with('/')) path.insert(0, "/");
    return path;
  }
  return parse_error("the target begins with no \"/\"");
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

}  // namespace

bool is_token(std::string_view text) { return !text.empty() && std::ranges::all_of(text, is_token_char); }

Result<std::optional<std::size_t>> find_head_end(std::string_view received, std::size_t& scanned) {
  if (!received.empty() && !is_token_char(received.front()))
    return parse_error("it begins with no method or version");
  for (std::size_t at = scanned; at < received.size(); ++at) {
    const char c = received[at];
    if (c == '\0') return parse_error("a NUL in the head");
    if (c == '\r' && at + 1 < received.size() && received[at + 1] != '\n')
      return parse_error("a CR without LF in the head");
    if (c != '\n') continue;
    if (at == 0 || received[at - 1] != '\r') return parse_error("a line that ends with LF alone");
    if (at >= 3 && received[at - 2] == '\n') return std::optional(at + 1);
  }
  // The last byte may be a CR whose LF has not arrived: the next call checks it again.
  scanned = received.empty() ? 0 : received.size() - 1;
  return std::nullopt;
}

Result<ParsedRequest> parse_request_head(std::string_view head) {
  std::string_view rest = head;
  const std::string_view line = next_line(rest);
  const std::size_t method_end = line.find(' ');
  const std::size_t version_begin = line.rfind(' ');
  if (method_end == std::string_view::npos || version_begin == method_end)
    return parse_error("the first line is not \"METHOD target HTTP/1.1\"");
  const std::string_view method = line.substr(0, method_end);
  const std::string_view target = line.substr(method_end + 1, version_begin - method_end - 1);
  const std::string_view version = line.substr(version_begin + 1);
  if (!is_token(method) || method.size() > kMaxMethodLength) return parse_error("the method is malformed");
  if (version != "HTTP/1.1" && version != "HTTP/1.0") {
    if (version.size() == 8 && version.starts_with("HTTP/"))
      return fail(ErrorCode::not_supported, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    return parse_error("the first line is not \"METHOD target HTTP/1.1\"");
  }

  auto fields = parse_fields(rest);
  if (!fields) return std::unexpected(fields.error());
  const bool http_1_0 = version == "HTTP/1.0";
  if (!http_1_0 && !fields->host) return parse_error("Host is missing");
  if (fields->host && !is_authority(*fields->host)) return parse_error("Host is malformed");
  if (http_1_0 && fields->chunked) return parse_error("HTTP/1.0 knows no Transfer-Encoding");
  auto path = to_origin_form(target, method, fields->host);
  if (!path) return std::unexpected(path.error());

  ParsedRequest parsed{.head = {.method = std::string(method),
                                .target = std::move(*path),
                                .headers = std::move(fields->end_to_end)},
                       .http_1_0 = http_1_0,
                       .keep_alive = !fields->close && (!http_1_0 || fields->keep_alive)};
  if (fields->chunked)
    parsed.head.length = std::nullopt;
  else
    parsed.head.length = fields->length.value_or(0);
  parsed.expects_continue =
      !http_1_0 && equals_ignore_case(header(parsed.head.headers, "Expect"), "100-continue");
  return parsed;
}

Result<ParsedResponse> parse_response_head(std::string_view head) {
  std::string_view rest = head;
  const std::string_view line = next_line(rest);
  constexpr std::size_t kStatusEnd = 12;  // "HTTP/1.1 200"
  const std::string_view version = line.substr(0, std::min<std::size_t>(8, line.size()));
  const bool shaped = (version == "HTTP/1.1" || version == "HTTP/1.0") && line.size() >= kStatusEnd &&
                      line[8] == ' ' && is_digit(line[9]) && is_digit(line[10]) && is_digit(line[11]) &&
                      line[9] != '0' && (line.size() == kStatusEnd || line[kStatusEnd] == ' ') &&
                      std::ranges::all_of(line, is_text_char);
  if (!shaped) return parse_error("its first line is not \"HTTP/1.1 STATUS reason\"");
  auto fields = parse_fields(rest);
  if (!fields) return std::unexpected(fields.error());
  const bool http_1_0 = version == "HTTP/1.0";
  if (http_1_0 && fields->chunked) return parse_error("HTTP/1.0 knows no Transfer-Encoding");
  ParsedResponse parsed{.head = {.status = (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0'),
                                 .headers = std::move(fields->end_to_end),
                                 .length = fields->length},
                        .chunked = fields->chunked,
                        .until_close = !fields->chunked && !fields->length,
                        .keep_alive = !fields->close && (!http_1_0 || fields->keep_alive)};
  return parsed;
}

}  // namespace mgpu::http
