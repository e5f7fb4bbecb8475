// Each exchange has a client of its own: control requests are few, and none of them should meet a connection
// that its service has closed meanwhile.
#include "service/fetch.h"

#include <charconv>
#include <string_view>
#include <utility>

#include <boost/asio/this_coro.hpp>
#include <fmt/format.h>

#include "http/client.h"

namespace mgpu::service {

namespace asio = boost::asio;

namespace {

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && at == end;
}

http::RequestHead head_of(const Address& to, const Request& request) {
  http::RequestHead head{.method = request.method, .target = to.prefix + request.path};
  const bool v6 = to.host.contains(':');
  head.headers.emplace_back("Host", fmt::format("{}{}{}:{}", v6 ? "[" : "", to.host, v6 ? "]" : "", to.port));
  head.headers.insert(head.headers.end(), to.credentials.begin(), to.credentials.end());
  if (!request.body.empty()) head.headers.emplace_back("Content-Type", "application/json");
  return head;
}

}  // namespace

Result<Address> parse_address(const std::string& url) {
  const auto wrong = [&](std::string_view why) {
    return fail(ErrorCode::invalid_config, fmt::format("\"{}\": {}", url, why));
  };
  const auto scheme = url.find("://");
  if (!url.starts_with("http://") && !url.starts_with("tcp://"))
    return wrong("a service's url begins with http:// (for some: tcp://)");
  std::string rest = url.substr(scheme + 3);
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
  const auto where =
      fmt::format("{} {}:{}{}{}", request.method, address.host, address.port, address.prefix, request.path);
  http::ClientOptions options{.max_idle_per_host = 0};
  http::Client client(co_await asio::this_coro::executor, options);
  http::HostPort service{.host = address.host, .port = address.port};
  http::RequestHead head = head_of(address, request);
  std::string body = request.body;
  auto answer =
      co_await http::fetch(client, std::move(service), std::move(head), std::move(body), limit, kMaxAnswer);
  if (!answer) co_return fail(answer.error().code, where + ": " + answer.error().detail);
  co_return Answer{.status = answer->head.status, .body = std::move(answer->body)};
}

}  // namespace mgpu::service
