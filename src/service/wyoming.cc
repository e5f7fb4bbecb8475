// Wyoming (piper, faster-whisper, wake words): frames over TCP instead of HTTP. The only request is
// `describe`, for its health; its memory is freed when its process ends. Callers use its own port, not the
// gateway.
#include <string_view>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "http/connection.h"
#include "service/service_base.h"
#include "service/wyoming_frame.h"

namespace mgpu::service {

namespace asio = boost::asio;

namespace {

// Sends one frame and returns the first frame of the answer. Error: service_down.
asio::awaitable<Result<WyomingFrame>> exchange(const Address& address, WyomingFrame request) {
  const auto failure = [&address](std::string_view reason) {
    return fail(ErrorCode::service_down, http::display_name(address.endpoint) + ": " + std::string(reason));
  };
  const auto executor = co_await asio::this_coro::executor;
  http::Endpoint endpoint = address.endpoint;
  auto connection = co_await http::Connection::connect(executor, std::move(endpoint), kQueryLimit);
  if (!connection) co_return std::unexpected(connection.error());
  std::string wire = serialize_frame(request), nothing;
  const auto sent = co_await connection->send(std::move(wire), std::move(nothing), {});
  if (!sent) co_return failure(sent.error().detail);
  while (true) {
    auto read = parse_frame(connection->received());
    if (!read) co_return std::unexpected(read.error());
    if (*read) co_return std::move((*read)->frame);
    const auto size = co_await connection->receive();
    if (!size) co_return failure(size.error().detail);
    if (*size == 0) co_return failure("it closed the connection in the middle of a frame");
  }
}

class Wyoming final : public ServiceBase {
 public:
  using ServiceBase::ServiceBase;

  asio::awaitable<Health> check_health() override {
    using asio::experimental::awaitable_operators::operator||;
    asio::steady_timer limit(co_await asio::this_coro::executor, kQueryLimit);
    auto answer = exchange(address(), {.type = "describe"});
    auto timeout = limit.async_wait(asio::use_awaitable);
    const auto first = co_await (std::move(answer) || std::move(timeout));
    if (first.index() == 1) co_return down_health("no answer to describe within " + to_string(kQueryLimit));
    const auto& info = std::get<0>(first);
    if (!info) co_return down_health(info.error().detail);
    if (info->type != "info")
      co_return down_health("describe was answered with \"" + info->type + "\" instead of \"info\"");
    co_return Health{Health::State::up, ""};
  }

 private:
  static Health down_health(std::string reason) { return {Health::State::down, std::move(reason)}; }
};

}  // namespace

std::unique_ptr<Service> make_wyoming(Address address, const config::ServiceConfig& config) {
  return std::make_unique<Wyoming>(std::move(address), config);
}

}  // namespace mgpu::service
