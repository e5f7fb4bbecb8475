// Each exchange has a client, and so a connection, of its own: control requests are few, and a kept
// connection may have been closed by the service meanwhile.
#include "service/fetch.h"

#include <utility>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include "http/client.h"

namespace mgpu::service {

namespace asio = boost::asio;

namespace {

http::RequestHead request_head(const Address& address, const Request& request) {
  http::RequestHead head{
      .method = request.method, .target = request.path, .headers = address.credential_headers};
  if (!request.body.empty()) head.headers.emplace_back("Content-Type", "application/json");
  return head;
}

}  // namespace

asio::awaitable<Result<Response>> fetch(const Address& address, const Request& request, Duration limit) {
  const auto request_line = fmt::format("{} {}{}{}", request.method, http::display_name(address.endpoint),
                                        address.endpoint.path, request.path);
  http::ClientOptions options{.max_idle_per_host = 0};
  http::Client client(co_await asio::this_coro::executor, options);
  http::Endpoint endpoint = address.endpoint;
  http::RequestHead head = request_head(address, request);
  std::string body = request.body;
  auto answer = co_await http::fetch(client, std::move(endpoint), std::move(head), std::move(body), limit,
                                     kMaxResponse);
  if (!answer) co_return fail(answer.error().code, request_line + ": " + answer.error().detail);
  co_return Response{.status = answer->head.status, .body = std::move(answer->body)};
}

}  // namespace mgpu::service
