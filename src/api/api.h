// The control plane: one table of routes over the engine. docs/openapi.yaml is its contract. It knows no HTTP
// connection: the daemon translates between HTTP and api_request.h.
//
// Thread: the strand.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "api/api_context.h"
#include "api/event_feed.h"
#include "api/lease_table.h"
#include "api/notifier.h"
#include "api/start_estimates.h"
#include "api/status_cache.h"

namespace mgpu::api {

struct Route {
  std::string_view method;
  std::string_view path;  // "/v1/consumers/{name}"
  RouteHandler handler;
};

std::span<const Route> routes();

// Whether a route has this path, with whatever method.
bool has_route(std::string_view path);

class Api {
 public:
  // `engine` must outlive it. `log_lines_dropped`: of the daemon's log, for the status; empty: none are.
  Api(engine::Engine& engine, boost::asio::any_io_executor executor, std::string version,
      std::function<std::uint64_t()> log_lines_dropped = {});

  // Every error becomes its response. None: the response went to `stream`. Cancel it when the client
  // disconnects: a ticket or lease that the request holds is then given back. REQUIRES: the Api outlives the
  // coroutine.
  boost::asio::awaitable<std::optional<ApiResponse>> handle_request(ApiRequest request,
                                                                    ResponseStream stream);

 private:
  LeaseTable leases_;
  Notifier notifier_;
  EventFeed events_;
  StartEstimates start_estimates_;
  StatusCache status_cache_;
  ApiContext context_;
};

}  // namespace mgpu::api
