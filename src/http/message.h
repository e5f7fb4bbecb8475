// Heads of HTTP requests and answers, and how they are written to the wire. Bodies are not part of them: they
// are streamed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mgpu::http {

// End-to-end headers in the order they came, without Content-Length and Transfer-Encoding (see `length`).
using Headers = std::vector<std::pair<std::string, std::string>>;

// The first value of a header, its name in any case; "" where there is none.
std::string_view header(const Headers& headers, std::string_view name);

// All values of a header, joined by ", " into one (RFC 9110, 5.3).
std::string joined_header(const Headers& headers, std::string_view name);

// How long a body is: a number, or none for chunked (in an answer also: until the connection closes).
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

// As sent on the wire, with the empty line.
std::string serialize_head(const RequestHead& head);
struct ConnectionMode {
  bool keep_alive = true;
  bool http_1_0 = false;  // the client's version: no chunked bodies, and no keep-alive unless it asks
};
std::string serialize_head(const ResponseHead& head, ConnectionMode mode);

// Whether an answer with this status never has a body, whatever its headers say.
bool is_bodiless(int status);

// Framing of a chunked body: before a chunk of `size` bytes, after each chunk, and at the end of the body.
std::string chunk_prefix(std::size_t size);
inline constexpr std::string_view kChunkSuffix = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace mgpu::http
