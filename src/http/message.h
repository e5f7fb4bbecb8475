// Heads of HTTP requests and responses, and their form on the wire. Bodies are not included: they are
// streamed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mgpu::http {

// End-to-end headers in the order received, without Content-Length and Transfer-Encoding (see `length`).
using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value of a header, by case-insensitive name; "" if it is absent.
std::string_view header(const Headers& headers, std::string_view name);

// All values of a header, joined by ", " (RFC 9110, 5.3).
std::string joined_header(const Headers& headers, std::string_view name);

// The length of a body; none for chunked (in a response also: until the connection closes).
using BodyLength = std::optional<std::uint64_t>;

struct RequestHead {
  std::string method = "GET";
  std::string target = "/";
  Headers headers{};
  BodyLength length = 0;
};

struct ResponseHead {
  int status = 200;
  Headers headers{};
  BodyLength length = 0;
};

// The form on the wire, with the empty line.
std::string serialize_head(const RequestHead& head);
struct ConnectionMode {
  bool keep_alive = true;
  bool http_1_0 = false;  // the client's version: no chunked bodies, keep-alive only on request
};
std::string serialize_head(const ResponseHead& head, ConnectionMode mode);

// Whether a response with this status never has a body, whatever its headers are.
bool is_bodiless(int status);

// Framing of a chunked body: before a chunk of `size` bytes, after each chunk, and at the end of the body.
std::string chunk_prefix(std::size_t size);
inline constexpr std::string_view kChunkSuffix = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace mgpu::http
