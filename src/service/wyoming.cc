// Wyoming (piper, faster-whisper, wake words): frames over TCP instead of HTTP. The only request is
// `describe`, for its health; its memory is freed when its process ends. Callers use its own port, not the
// gateway.
#include <array>

#include <boost/asio/connect.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "service/service_base.h"
#include "service/wyoming_frame.h"

namespace mgpu::service {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

// Sends one frame and returns the first frame of the answer. Asio's exceptions are caught here: with one,
// `||` would wait for the timer.
asio::awaitable<Result<WyomingFrame>> exchange(const Address& address, WyomingFrame request) try {
  tcp::socket socket(co_await asio::this_coro::executor);
  tcp::resolver resolver(socket.get_executor());
  const std::string port = std::to_string(address.endpoint.port);
  const auto endpoints = co_await resolver.async_resolve(address.endpoint.host, port, asio::use_awaitable);
  co_await asio::async_connect(socket, endpoints, asio::use_awaitable);
  const std::string wire = serialize_frame(request);
  const auto out = asio::buffer(wire);
  co_await asio::async_write(socket, out, asio::use_awaitable);
  std::string bytes;
  for (;;) {
    auto read = parse_frame(bytes);
    if (!read) co_return std::unexpected(read.error());
    if (*read) co_return std::move((*read)->frame);
    std::array<char, 4096> piece;
    const auto in = asio::buffer(piece);
    const auto size = co_await socket.async_read_some(in, asio::use_awaitable);
    bytes.append(piece.data(), size);
  }
} catch (const boost::system::system_error& error) {
  co_return fail(ErrorCode::service_down,
                 http::display_name(address.endpoint) + ": " + error.code().message());
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
