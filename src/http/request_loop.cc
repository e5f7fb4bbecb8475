#include "http/request_loop.h"

#include <exception>
#include <optional>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "http/awaitable.h"
#include "http/server_exchange.h"

namespace mgpu::http {
namespace {

// The content of a JSON string. The texts are the server's own: only quotes and backslashes occur.
std::string json_escaped(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '"' || c == '\\') escaped += '\\';
    escaped += c;
  }
  return escaped;
}

// The response to a message that is not HTTP. Bytes after it can't be parsed, so the connection ends.
asio::awaitable<void> send_parse_error(ServerStream& stream, Error error) {
  if (error.code == ErrorCode::invalid_request)
    error.detail = "this is not a proper HTTP/1.1 request: " + error.detail;
  const std::string body = fmt::format(R"({{"error":{{"code":"{}","message":"{}"}}}})", to_string(error.code),
                                       json_escaped(error.detail));
  const ResponseHead head{.status = http_status(error.code),
                          .headers = {{"Content-Type", "application/json"}},
                          .length = body.size()};
  std::string wire = serialize_head(head, {.keep_alive = false}) + body;
  co_await stream.send(std::move(wire));
}

}  // namespace

asio::awaitable<void> serve_requests(ServerStream& stream, const Server::Handler& handler) {
  std::optional<ServerExchange> exchange;
  bool sent_parse_error = false;
  while (stream.is_open()) {
    auto request = co_await stream.receive_request_head();
    if (!request) {
      sent_parse_error = !stream.is_client_gone();
      if (sent_parse_error) co_await send_parse_error(stream, std::move(request.error()));
      break;
    }
    exchange.emplace(stream, std::move(*request));
    try {
      co_await handler(*exchange);
    } catch (const std::exception&) {  // thrown by a library: only this connection ends
      exchange->abort();
      stream.close();
      co_return;
    }
    co_await exchange->complete_unfinished();
    if (!exchange->can_serve_next()) break;
  }
  const bool may_be_sending = sent_parse_error || (exchange && exchange->client_may_be_sending());
  const std::uint64_t announced = exchange ? exchange->announced_bytes_left() : 0;
  if (!stream.is_client_gone() && stream.is_open() && may_be_sending) co_await stream.linger(announced);
  stream.close();
}

}  // namespace mgpu::http
