#include "gateway/relay_response.h"

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "gateway/account.h"
#include "gateway/forwarding_rules.h"
#include "service/out_of_memory.h"

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

constexpr std::size_t kMaxCheckedErrorBody = 64 * 1024;  // of an error response, held back for the check
constexpr std::size_t kMaxQuotedError = 500;             // of it, quoted in the daemon's error

// Copies until `read` returns the end, or either fails. REQUIRES: the functions outlive the call.
Awaitable<Result<void>> copy_stream(const std::function<Awaitable<Result<std::string>>()>& read,
                                    const std::function<Awaitable<Result<void>>(std::string)>& write) {
  while (true) {
    Result<std::string> piece = co_await read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return Result<void>{};
    Result<void> written = co_await write(std::move(*piece));
    if (!written) co_return written;
  }
}

// Whether the response may report that device memory ran out, in uncompressed text.
bool may_report_out_of_memory(const ResponseHead& head) {
  return head.status >= 400 && header(head.headers, "Content-Encoding").empty();
}

// Returns the part of the body that was read to check whether it reports that memory ran out. Errors:
// out_of_memory (it does), service_down.
Awaitable<Result<std::string>> check_out_of_memory(RequestContext& request, const ResponseHead& head) {
  std::string body;
  if (!request.turn.lease || !may_report_out_of_memory(head)) co_return body;
  Upstream upstream = *request.attempt.upstream;
  while (body.size() < kMaxCheckedErrorBody) {
    Result<std::string> piece = co_await upstream.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) break;
    body += *piece;
  }
  const config::ConsumerSnapshot config = request.consumer();
  if (!service::says_out_of_memory(config->service.type, head.status, body)) co_return body;
  co_return fail(ErrorCode::out_of_memory, fmt::format("{} answered {}: {}", config->name, head.status,
                                                       std::string_view(body).substr(0, kMaxQuotedError)));
}

// A head with a body length is sent together with the first piece of the body: if the service disconnects
// between the two, the client can still be sent an error.
Awaitable<Result<std::string>> read_body_start(RequestContext& request, const ResponseHead& head) {
  Result<std::string> start = co_await check_out_of_memory(request, head);
  const bool switches_protocol = head.status == 101;
  if (!start || !start->empty() || switches_protocol) co_return start;
  if (head.length.value_or(0) == 0 || request.caller.head.method == "HEAD") co_return start;
  co_return co_await request.attempt.upstream->read();
}

ResponseHead make_client_head(RequestContext& request, ResponseHead response) {
  const bool encoded = !header(response.headers, "Content-Encoding").empty();
  if (!response.length && !encoded) request.attempt.stream_type = header(response.headers, "Content-Type");
  response.headers = forwarded_headers(response.headers, response.status == 101);
  for (auto& own_header : account_headers(request)) response.headers.push_back(std::move(own_header));
  return response;
}

// Copies what the client sends until its end, and then waits, since the client may still receive. Returns
// when copying fails.
Awaitable<void> copy_to_service(Caller& from, const Upstream& to) {
  auto copying = copy_stream(from.read, to.send);
  Result<void> copied = co_await std::move(copying);
  if (!copied) co_return;
  to.shutdown_send();
  asio::steady_timer never(co_await asio::this_coro::executor, asio::steady_timer::time_point::max());
  co_await never.async_wait(asio::use_awaitable);
}

// Ends when the service has ended its side.
Awaitable<Result<void>> tunnel(RequestContext& request) {
  Upstream upstream = *request.attempt.upstream;
  Caller& caller = request.caller;
  auto to_client = copy_stream(upstream.read, caller.write);
  auto to_service = copy_to_service(caller, upstream);
  auto either = std::move(to_client) || std::move(to_service);
  auto first = co_await std::move(either);
  if (first.index() == 1) co_return fail(ErrorCode::service_down, "the tunnel broke");
  co_return std::get<0>(first);
}

Awaitable<Result<void>> relay(RequestContext& request) {
  Upstream upstream = *request.attempt.upstream;
  Caller& caller = request.caller;
  Result<ResponseHead> head = co_await upstream.read_response_head();
  request.resent |= upstream.was_resent();
  if (!head) co_return std::unexpected(head.error());
  const bool switches_protocol = head->status == 101;
  if (switches_protocol && !request.is_websocket_upgrade)
    co_return fail(ErrorCode::service_down,
                   "the service switched protocols, which the client had not asked for");
  Result<std::string> body_start = co_await read_body_start(request, *head);
  if (!body_start) co_return std::unexpected(body_start.error());

  ResponseHead client_head = make_client_head(request, std::move(*head));
  Result<void> sent = co_await caller.send_head(std::move(client_head));
  request.attempt.head_sent = true;
  if (!sent) co_return sent;
  if (switches_protocol) co_return co_await tunnel(request);
  if (request.attempt.body_sent) request.body.buffer().clear();  // the request can't be sent again after this
  if (!body_start->empty()) sent = co_await caller.write(std::move(*body_start));
  if (sent) sent = co_await copy_stream(upstream.read, caller.write);
  co_return sent;
}

}  // namespace

Awaitable<void> relay_response(RequestContext& request) {
  Result<void> relayed = co_await relay(request);
  if (!relayed) request.attempt.failure = relayed.error();
}

}  // namespace mgpu::gateway
