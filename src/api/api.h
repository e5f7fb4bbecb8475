// The control plane: one table of routes over the engine. docs/openapi.yaml is its contract; HTTP itself is
// the daemon's to bring (call.h).
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "api/desk.h"
#include "api/lease_book.h"

namespace mgpu::api {

struct Route {
  std::string_view method;
  std::string_view path;  // "/v1/consumers/{name}"
  Handler handler;
};

// All of them.
std::span<const Route> routes();

// Whether `path` is one of ours, with whatever method.
bool takes(std::string_view path);

class Api {
 public:
  Api(engine::Engine& engine, boost::asio::any_io_executor executor, std::string version);

  // Errors of any kind become their reply; none: the answer went to the outlet. Cancelling it is the client's
  // going away. REQUIRES: the api and its engine outlive the coroutine.
  boost::asio::awaitable<std::optional<Reply>> answer(Call call, Outlet outlet);

 private:
  LeaseBook leases_;
  Desk desk_;
};

}  // namespace mgpu::api
