// HTTP/1.0 on purpose: the answer then ends with the connection, unchunked, and no client state is needed for
// a handful of control requests.
#include "service/fetch.h"

#include <charconv>
#include <chrono>
#include <memory>
#include <optional>
#include <string_view>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <fmt/format.h>

namespace mgpu::service {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {

constexpr auto kQuiet = asio::as_tuple(asio::use_awaitable);

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && at == end;
}

std::string written(const Address& to, const Request& request) {
  auto text = fmt::format("{} {}{} HTTP/1.0\r\nHost: {}:{}\r\nConnection: close\r\n", request.method,
                          to.prefix, request.path, to.host, to.port);
  if (!request.body.empty()) text += "Content-Type: application/json\r\n";
  if (request.method != "GET") text += fmt::format("Content-Length: {}\r\n", request.body.size());
  return text + "\r\n" + request.body;
}

std::optional<Answer> parse_answer(const std::string& text) {
  const auto head_end = text.find("\r\n\r\n");
  Answer answer;
  if (head_end == text.npos || !text.starts_with("HTTP/1.")) return {};
  if (!read_number(std::string_view(text).substr(9, 3), answer.status)) return {};
  answer.body = text.substr(head_end + 4);
  return answer;
}

}  // namespace

Result<Address> parse_address(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  const auto wrong = [&](std::string_view why) {
    return fail(Code::invalid_config, fmt::format("\"{}\": {}", url, why));
  };
  if (!url.starts_with(kScheme)) return wrong("a service's url begins with http://");
  std::string rest = url.substr(kScheme.size());
  Address address;
  if (const auto slash = rest.find('/'); slash != rest.npos) {
    address.prefix = rest.substr(slash);
    rest.resize(slash);
    while (address.prefix.ends_with('/')) address.prefix.pop_back();
  }
  const auto colon = rest.rfind(':');
  if (colon != rest.npos && !rest.ends_with(']')) {
    if (!read_number(std::string_view(rest).substr(colon + 1), address.port))
      return wrong("not a port number");
    rest.resize(colon);
  }
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  if (rest.empty()) return wrong("no host");
  address.host = rest;
  return address;
}

asio::awaitable<Result<Answer>> fetch(const Address& address, const Request& request, Duration limit) {
  const auto executor = co_await asio::this_coro::executor;
  const auto where =
      fmt::format("{} {}:{}{}{}", request.method, address.host, address.port, address.prefix, request.path);
  // Shared with the timer's handler, which may run after we returned.
  auto socket = std::make_shared<tcp::socket>(executor);
  auto resolver = std::make_shared<tcp::resolver>(executor);
  auto late = std::make_shared<bool>(false);
  asio::steady_timer timer(executor, limit);
  timer.async_wait([socket, resolver, late](auto error) {
    if (error) return;
    *late = true;
    resolver->cancel();
    boost::system::error_code ignored;
    socket->close(ignored);
  });
  const auto broken = [&](std::string_view doing, const boost::system::error_code& error) {
    if (*late)
      return fail(Code::service_down, fmt::format("{}: no answer within {}", where, to_string(limit)));
    return fail(Code::service_down, fmt::format("{}: {}: {}", where, doing, error.message()));
  };

  const auto port = std::to_string(address.port);
  const auto [unresolved, endpoints] = co_await resolver->async_resolve(address.host, port, kQuiet);
  if (unresolved) co_return broken("host name", unresolved);
  const auto [refused, endpoint] = co_await asio::async_connect(*socket, endpoints, kQuiet);
  if (refused || *late) co_return broken("connecting", refused);
  const auto text = written(address, request);
  const auto outgoing = asio::buffer(text);
  const auto [unsent, sent] = co_await asio::async_write(*socket, outgoing, kQuiet);
  if (unsent) co_return broken("sending", unsent);
  std::string incoming;
  auto buffer = asio::dynamic_buffer(incoming, static_cast<std::size_t>(kMaxAnswer.count));
  const auto [ended, size] = co_await asio::async_read(*socket, buffer, kQuiet);
  if (ended != asio::error::eof) co_return broken("reading (answers over 8 MiB are refused)", ended);
  auto answer = parse_answer(incoming);
  if (!answer) co_return fail(Code::service_down, where + ": the answer is not HTTP");
  co_return *std::move(answer);
}

}  // namespace mgpu::service
