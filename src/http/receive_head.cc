#include "http/receive_head.h"

#include <optional>

#include <boost/asio/error.hpp>

#include "http/awaitable.h"
#include "http/head_parser.h"

namespace mgpu::http {

asio::awaitable<Result<std::size_t>> receive_head(Connection& connection, std::size_t max_size,
                                                  std::size_t empty_lines) {
  std::size_t scanned = 0;
  while (true) {
    for (; empty_lines > 0 && connection.received().starts_with("\r\n"); --empty_lines) connection.consume(2);
    const std::string_view received = connection.received();
    const bool maybe_empty_line = empty_lines > 0 && received == "\r";
    const auto end =
        maybe_empty_line ? Result<std::optional<std::size_t>>{} : find_head_end(received, scanned);
    if (!end) co_return std::unexpected(end.error());
    if (end->value_or(received.size()) > max_size)
      co_return fail(ErrorCode::too_large, "its headers are too long");
    if (*end) co_return **end;
    const auto size = co_await connection.receive();
    if (!size) co_return std::unexpected(size.error());
    if (*size == 0) co_return fail(ErrorCode::cancelled, make_error_code(asio::error::eof).message());
  }
}

}  // namespace mgpu::http
