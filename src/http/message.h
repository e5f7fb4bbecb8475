// The words of HTTP that both of its sides share: heads of requests and answers, and what is done with
// headers on a message's way through. Bodies are not part of them: they stream.
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

// All values of a header, joined by ", " as one line would have them (RFC 9110, 5.3).
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

// As sent over the wire, the empty line included.
std::string serialize_head(const RequestHead& head);
struct ConnectionMode {
  bool keep_alive = true;
  bool http_1_0 = false;  // the client's version: it knows no chunks, and expects no next request
};
std::string serialize_head(const ResponseHead& head, ConnectionMode mode);

// Answers that never have a body, whatever their length says.
bool is_bodiless(int status);

// What goes before and after one piece of a chunked body, and at its end.
std::string chunk_prefix(std::size_t size);
inline constexpr std::string_view kChunkSuffix = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace mgpu::http
