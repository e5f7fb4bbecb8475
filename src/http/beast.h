// The one door to Beast, for the .cc files of this room only.
#pragma once

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
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

// Awaits without exceptions: `auto [error, ...] = co_await ...(kQuietly)`.
inline constexpr auto kQuietly = asio::as_tuple(asio::use_awaitable);

inline constexpr std::size_t kPiece = 16 * 1024;  // of a body, read at once

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

// The next piece of a body that `parser` is in the middle of; empty at its end.
template <class Stream, class Parser>
asio::awaitable<std::pair<boost::system::error_code, std::string>> next_piece(Stream& stream,
                                                                              beast::flat_buffer& buffer,
                                                                              Parser& parser) {
  std::string piece(kPiece, '\0');
  while (!parser.is_done()) {
    parser.get().body().data = piece.data();
    parser.get().body().size = piece.size();
    auto [error, n] = co_await beast_http::async_read_some(stream, buffer, parser, kQuietly);
    if (error == beast_http::error::need_buffer) error = {};
    const std::size_t got = piece.size() - parser.get().body().size;
    if (error) co_return std::pair{error, std::string{}};
    if (got > 0) {
      piece.resize(got);
      co_return std::pair{boost::system::error_code{}, std::move(piece)};
    }
  }
  co_return std::pair{boost::system::error_code{}, std::string{}};
}

}  // namespace mgpu::http
