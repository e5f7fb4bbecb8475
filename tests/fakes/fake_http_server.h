// An HTTP server for tests of services: a table maps "POST /sleep" to a function, over a real socket. Other
// routes get FastAPI's 404. The fakes of applications are written from their documentation and keep some
// state, so that tests can check the result.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "http/server.h"

namespace mgpu::fakes {

struct FakeRequest {
  std::string query{};  // without the ?
  nlohmann::json body{};
  http::Headers headers{};
  bool query_contains(const std::string& part) const { return query.find(part) != std::string::npos; }
};

struct FakeResponse {
  FakeResponse(nlohmann::json body) : text(body.dump()) {}  // NOLINT: implicit for short route tables
  FakeResponse(int code, nlohmann::json body) : status(code), text(body.dump()) {}  // other status, JSON
  FakeResponse(int code, std::string body, int) : status(code), text(std::move(body)) {}  // other text
  int status = 200;
  std::string text{};
};
inline FakeResponse text_response(std::string text, int status = 200) { return {status, std::move(text), 0}; }

class FakeHttpServer {
 public:
  using Route = std::function<FakeResponse(const FakeRequest&)>;

  explicit FakeHttpServer(boost::asio::io_context& io) {
    server_ = std::move(*http::Server::start(io, {}, [this](http::Exchange& x) { return serve(x); }));
  }

  FakeHttpServer& add_route(std::string method_and_path, Route route) {
    routes_[std::move(method_and_path)] = std::move(route);
    return *this;
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

 private:
  boost::asio::awaitable<void> serve(http::Exchange& x) {
    const Bytes limit = kMiB;
    const auto body = co_await http::read_body(x, limit);
    const std::string target = x.head().target;
    const auto query_start = std::min(target.find('?'), target.size());
    FakeRequest request{.query = target.substr(std::min(query_start + 1, target.size())),
                        .body = nlohmann::json::parse(body.value_or(""), nullptr, false),
                        .headers = x.head().headers};
    const auto route = routes_.find(x.head().method + " " + target.substr(0, query_start));
    const FakeResponse response =
        route != routes_.end() ? route->second(request) : FakeResponse(404, {{"detail", "Not Found"}});
    http::Headers headers{{"Content-Type", "application/json"}};
    std::string text = response.text;
    co_await http::send_response(x, response.status, std::move(headers), std::move(text));
  }

  std::map<std::string, Route> routes_;
  std::unique_ptr<http::Server> server_;
};

}  // namespace mgpu::fakes
