// The one door to Beast, for the .cc files of this room only.
#pragma once

#include <array>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/status.hpp>

#include "http/message.h"

namespace mgpu::http {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace beast_http = boost::beast::http;
using tcp = asio::ip::tcp;
using AnyStream = beast::basic_stream<asio::generic::stream_protocol>;  // over TCP or a Unix socket

// Awaits without exceptions: `auto [error, ...] = co_await ...(kQuietly)`.
inline constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

inline constexpr std::size_t kPiece = 64 * 1024;  // of a body, read at once
inline constexpr std::size_t kHeadRoom = 4096;    // most heads arrive in one read

// The headers of a parsed message that belong to the message itself.
template <class Fields>
Headers end_to_end(const Fields& fields) {
  Headers headers;
  for (const auto& field : fields) {
    if (field.name() == beast_http::field::content_length ||
        field.name() == beast_http::field::transfer_encoding)
      continue;
    const auto name = field.name_string();
    const auto value = field.value();
    headers.emplace_back(std::string(name.data(), name.size()), std::string(value.data(), value.size()));
  }
  return headers;
}

template <class Parser>
Length length_of(const Parser& parser) {
  if (parser.chunked()) return std::nullopt;
  const auto length = parser.content_length();
  return length ? Length{*length} : Length{0};
}

// Where a parser puts what a piece is then made of. Shared by all, since nobody holds it across an await.
inline std::array<char, kPiece>& bench() {
  thread_local std::array<char, kPiece> room;
  return room;
}

// The next piece of a body that `parser` is in the middle of; empty at its end. Not Beast's own read: that
// takes no more at once than the buffer happens to have room for, which after a head is little.
template <class Stream, class Parser>
asio::awaitable<std::pair<boost::system::error_code, std::string>> next_piece(Stream& stream,
                                                                              beast::flat_buffer& buffer,
                                                                              Parser& parser) {
  boost::system::error_code error;
  while (!parser.is_done()) {
    if (buffer.size() > 0) {
      auto& body = parser.get().body();
      body.data = bench().data();
      body.size = kPiece;
      buffer.consume(parser.put(buffer.data(), error));
      const std::size_t got = kPiece - body.size;
      if (error == beast_http::error::need_buffer) error = {};
      const bool wants_more = error == beast_http::error::need_more;
      if (error && !wants_more) co_return std::pair{error, std::string{}};
      if (got > 0) co_return std::pair{boost::system::error_code{}, std::string(bench().data(), got)};
      if (!wants_more && buffer.size() > 0) continue;
      if (parser.is_done()) break;
    }
    const auto target = buffer.prepare(kPiece);
    auto [failed, n] = co_await stream.async_read_some(target, kQuietly);
    buffer.commit(n);
    error = failed;
    if (error == asio::error::eof) {
      error = {};
      parser.put_eof(error);
    }
    if (error) co_return std::pair{error, std::string{}};
  }
  co_return std::pair{boost::system::error_code{}, std::string{}};
}

// What arrives on a connection that speaks HTTP no more; empty at its end.
template <class Stream>
asio::awaitable<std::pair<boost::system::error_code, std::string>> next_raw(Stream& stream,
                                                                            beast::flat_buffer& buffer) {
  boost::system::error_code error;
  if (buffer.size() == 0) {
    const auto target = buffer.prepare(kPiece);
    auto [failed, n] = co_await stream.async_read_some(target, kQuietly);
    buffer.commit(n);
    if (failed != asio::error::eof) error = failed;
  }
  const auto data = buffer.data();
  std::string piece(static_cast<const char*>(data.data()), data.size());
  buffer.consume(piece.size());
  co_return std::pair{error, std::move(piece)};
}

}  // namespace mgpu::http
