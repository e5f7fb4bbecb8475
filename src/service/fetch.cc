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
bool parse_number(std::string_view text, Number& number) {
  const auto end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, number);
  return error == std::errc{} && at == end;
}

http::RequestHead request_head(const Address& address, const Request& request) {
  http::RequestHead head{.method = request.method, .target = address.path_prefix + request.path};
  const bool v6 = address.host.contains(':');
  head.headers.emplace_back(
      "Host", fmt::format("{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port));
  head.headers.insert(head.headers.end(), address.credential_headers.begin(),
                      address.credential_headers.end());
  if (!request.body.empty()) head.headers.emplace_back("Content-Type", "application/json");
  return head;
}

}  // namespace

Result<Address> parse_address(const std::string& url) {
  const auto invalid_url = [&](std::string_view reason) {
    return fail(ErrorCode::invalid_config, fmt::format("\"{}\": {}", url, reason));
  };
  const auto scheme = url.find("://");
  if (!url.starts_with("http://") && !url.starts_with("tcp://"))
    return invalid_url("a service's url begins with http:// (for some: tcp://)");
  std::string rest = url.substr(scheme + 3);
  Address address;
  if (const auto slash = rest.find('/'); slash != rest.npos) {
    address.path_prefix = rest.substr(slash);
    rest.resize(slash);
    while (address.path_prefix.ends_with('/')) address.path_prefix.pop_back();
  }
  const auto colon = rest.rfind(':');
  if (colon != rest.npos && !rest.ends_with(']')) {
    if (!parse_number(std::string_view(rest).substr(colon + 1), address.port))
      return invalid_url("not a port number");
    rest.resize(colon);
  }
  if (rest.starts_with('[') && rest.ends_with(']')) rest = rest.substr(1, rest.size() - 2);
  if (rest.empty()) return invalid_url("no host");
  address.host = rest;
  return address;
}

asio::awaitable<Result<Response>> fetch(const Address& address, const Request& request, Duration limit) {
  const auto request_line = fmt::format("{} {}:{}{}{}", request.method, address.host, address.port,
                                        address.path_prefix, request.path);
  http::ClientOptions options{.max_idle_per_host = 0};
  http::Client client(co_await asio::this_coro::executor, options);
  http::HostPort host_port{.host = address.host, .port = address.port};
  http::RequestHead head = request_head(address, request);
  std::string body = request.body;
  auto answer = co_await http::fetch(client, std::move(host_port), std::move(head), std::move(body), limit,
                                     kMaxResponse);
  if (!answer) co_return fail(answer.error().code, request_line + ": " + answer.error().detail);
  co_return Response{.status = answer->head.status, .body = std::move(answer->body)};
}

}  // namespace mgpu::service
