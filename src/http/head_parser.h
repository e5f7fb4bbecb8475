// Parses the head of an HTTP/1.x message, strictly: whatever two parsers could interpret differently is an
// error (RFC 9112, 2.2, 5.1, 5.2, 6.1, 6.3, 7.1.2, 11.2). That is a line end other than CRLF, a folded line,
// a header name with a space, two lengths, a length beside a transfer coding, a coding other than chunked, a
// missing or second Host. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "http/message.h"

namespace mgpu::http {

inline constexpr std::size_t kMaxHeaderLines = 256;

struct ParsedRequest {
  RequestHead head{};  // target in origin form, or "*"
  bool http_1_0 = false;
  bool keep_alive = false;
  bool expects_continue = false;
};

struct ParsedResponse {
  ResponseHead head{};  // length: none where it is chunked or lasts until the connection closes
  bool chunked = false;
  bool until_close = false;  // the body lasts until the connection closes, if the response has one
  bool keep_alive = false;
};

// The size of the head at the front of `received`, with its empty line; none if it is not complete.
// `scanned`: how much of `received` earlier calls have looked at; kept by the caller, 0 for a new head.
// Error: invalid_request, as soon as it can't become a head.
Result<std::optional<std::size_t>> find_head_end(std::string_view received, std::size_t& scanned);

// `head`: with its empty line. Errors: invalid_request, too_large (more than kMaxHeaderLines), not_supported
// (an unknown version or transfer coding).
Result<ParsedRequest> parse_request_head(std::string_view head);

// Errors: invalid_request.
Result<ParsedResponse> parse_response_head(std::string_view head);

// Whether all characters are allowed in a method or a header name (RFC 9110, 5.6.2).
bool is_token(std::string_view text);

}  // namespace mgpu::http
