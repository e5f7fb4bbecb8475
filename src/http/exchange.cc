#include "http/exchange.h"

#include <utility>

#include <fmt/format.h>

#include "http/awaitable.h"

namespace mgpu::http {

asio::awaitable<Result<void>> send_response(Exchange& exchange, int status, Headers headers,
                                            std::string body) {
  ResponseHead head{.status = status, .headers = std::move(headers), .length = body.size()};
  auto sent = co_await exchange.send_head(std::move(head));
  if (sent) sent = co_await exchange.write(std::move(body));
  co_await exchange.finish();
  co_return sent;
}

asio::awaitable<Result<std::string>> read_body(Exchange& exchange, Bytes limit) {
  std::string body;
  while (true) {
    auto piece = co_await exchange.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return body;
    body += *piece;
    if (Bytes{static_cast<std::int64_t>(body.size())} > limit)
      co_return fail(ErrorCode::too_large, fmt::format("the body is larger than {}", to_string(limit)));
  }
}

}  // namespace mgpu::http
