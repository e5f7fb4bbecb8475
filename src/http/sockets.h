// What both sides of this room share about sockets: names for Asio's types, and reading without handing out
// memory. For the .cc files of this room and their tests only.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/result.h"
#include "http/head_parser.h"

namespace mgpu::http {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using StreamSocket = asio::generic::stream_protocol::socket;  // over TCP or a Unix socket

// Awaits without exceptions: `auto [error, ...] = co_await ...(kAsTuple)`.
inline constexpr auto kAsTuple = asio::as_tuple(asio::use_awaitable);

inline constexpr std::size_t kReadSize = 64 * 1024;  // read at once

// Bytes that were received and not used yet.
class ReceiveBuffer {
 public:
  std::string_view view() const { return std::string_view(bytes_).substr(begin_); }
  std::size_t size() const { return bytes_.size() - begin_; }
  bool empty() const { return size() == 0; }

  void append(std::string_view more) {
    if (begin_ > 0) bytes_.erase(0, begin_), begin_ = 0;
    bytes_ += more;
  }
  // A buffer that once held much gives its memory back: idle connections are many.
  void consume(std::size_t count) {
    begin_ += count;
    if (begin_ < bytes_.size()) return;
    begin_ = 0;
    if (bytes_.capacity() > kMaxIdleCapacity)
      bytes_ = std::string();
    else
      bytes_.clear();
  }

 private:
  static constexpr std::size_t kMaxIdleCapacity = 4096;
  std::string bytes_;
  std::size_t begin_ = 0;
};

// Waits until something can be read, then reads it without waiting. No operation in flight ever holds a
// pointer into a buffer of ours, so nothing that happens to the connection meanwhile can make it dangle.
// Error: asio::error::eof at the peer's end. REQUIRES: the socket is non-blocking.
template <class Socket>
asio::awaitable<boost::system::error_code> receive_some(Socket& socket, ReceiveBuffer& received) {
  thread_local std::array<char, kReadSize> scratch;  // not held across an await
  while (true) {
    auto [error] = co_await socket.async_wait(Socket::wait_read, kAsTuple);
    if (error) co_return error;
    const std::size_t n = socket.read_some(asio::buffer(scratch), error);
    if (error == asio::error::would_block) continue;
    if (!error) received.append(std::string_view(scratch.data(), n));
    co_return error;
  }
}

// Waits for the head that the peer sends next: its size, with its empty line; it is still in the buffer. Up
// to `empty_lines` before it are skipped. Errors: those of find_head_end, too_large (more than `most`),
// cancelled (the connection ended first; the system's words).
template <class Socket>
asio::awaitable<Result<std::size_t>> receive_head(Socket& socket, ReceiveBuffer& received,
                                                  std::size_t max_size, std::size_t empty_lines) {
  std::size_t scanned = 0;
  while (true) {
    for (; empty_lines > 0 && received.view().starts_with("\r\n"); --empty_lines) received.consume(2);
    const bool perhaps_empty = empty_lines > 0 && received.view() == "\r";
    const auto end =
        perhaps_empty ? Result<std::optional<std::size_t>>{} : find_head_end(received.view(), scanned);
    if (!end) co_return std::unexpected(end.error());
    if (end->value_or(received.size()) > max_size)
      co_return fail(ErrorCode::too_large, "its headers are too long");
    if (*end) co_return **end;
    if (const auto error = co_await receive_some(socket, received); error)
      co_return fail(ErrorCode::cancelled, error.message());
  }
}

}  // namespace mgpu::http
