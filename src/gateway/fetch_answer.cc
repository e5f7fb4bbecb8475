#include "gateway/fetch_answer.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

Awaitable<Result<std::string>> read_answer(Upstream upstream) {
  Result<ResponseHead> head = co_await upstream.read_response_head();
  if (!head) co_return std::unexpected(head.error());
  std::string body;
  while (true) {
    Result<std::string> piece = co_await upstream.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) break;
    body += *piece;
    if (body.size() > kMaxFetchedAnswer) co_return fail(ErrorCode::service_down, "its answer is too long");
  }
  if (head->status != 200)
    co_return fail(ErrorCode::service_down, "it answered " + std::to_string(head->status));
  co_return body;
}

Awaitable<Result<std::string>> exchange(const GatewayContext& gateway, http::Endpoint endpoint,
                                        RequestHead head) {
  Result<Upstream> upstream = co_await gateway.connect(std::move(endpoint), std::move(head));
  if (!upstream) co_return std::unexpected(upstream.error());
  Result<void> sent = co_await upstream->end_body();
  if (!sent) co_return std::unexpected(sent.error());
  co_return co_await read_answer(std::move(*upstream));
}

}  // namespace

Awaitable<Result<std::string>> fetch_answer(const GatewayContext& gateway, ConsumerId consumer,
                                            std::string path, Headers client_headers, Duration limit) {
  std::optional<http::Endpoint> endpoint = gateway.engine_api.endpoint(consumer);
  if (!endpoint) co_return fail(ErrorCode::service_down, "its service is not up");
  RequestHead head{
      .method = "GET", .target = std::move(path), .headers = std::move(client_headers), .length = 0};
  asio::steady_timer timer(co_await asio::this_coro::executor, limit);
  auto answering = exchange(gateway, std::move(*endpoint), std::move(head));
  auto timed_out = timer.async_wait(asio::as_tuple(asio::use_awaitable));
  auto either = std::move(answering) || std::move(timed_out);
  auto first = co_await std::move(either);
  if (first.index() == 1) co_return fail(ErrorCode::service_down, "no answer within " + to_string(limit));
  co_return std::get<0>(std::move(first));
}

}  // namespace mgpu::gateway
