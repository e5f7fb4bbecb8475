// What the handlers of the control plane share, and their declarations by file.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "api/api_request.h"
#include "api/codec.h"
#include "engine/engine.h"

namespace mgpu::api {

class EventFeed;
class LeaseTable;
class Notifier;
class StartEstimates;
class StatusCache;

struct ApiContext {
  engine::Engine& engine;
  LeaseTable& leases;
  Notifier& notifier;
  EventFeed& events;
  StartEstimates& start_estimates;
  StatusCache& status_cache;
  boost::asio::any_io_executor executor{};
  std::string version{};
};

// A handler is one coroutine. It is cancelled when its client disconnects, and destructors give back what it
// holds.
using RouteHandler = boost::asio::awaitable<HandlerResult> (*)(ApiContext&, ApiRequest, ResponseStream);

// The headers X-Mgpu-Ticket and Server-Timing: which ticket waited, and for how long.
std::vector<std::pair<std::string, std::string>> timing_headers(TicketId ticket, Duration waited,
                                                                Duration loading);

ApiResponse json_response(const Json& json, int status = 200);
ApiResponse error_response(const Error& error);

// Of the route's {name}. Error: not_found, naming the known consumers.
Result<ConsumerId> consumer_from_path(const ApiRequest& request, const engine::Engine& engine);
// Of the route's {argument}. Error: not_found.
Result<std::uint64_t> number_from_path(const ApiRequest& request, const std::string& argument);

// leases.cc
boost::asio::awaitable<HandlerResult> list_leases(ApiContext& context, ApiRequest request,
                                                  ResponseStream stream);
boost::asio::awaitable<HandlerResult> acquire_lease(ApiContext& context, ApiRequest request,
                                                    ResponseStream stream);
boost::asio::awaitable<HandlerResult> release_lease(ApiContext& context, ApiRequest request,
                                                    ResponseStream stream);
boost::asio::awaitable<HandlerResult> renew_lease(ApiContext& context, ApiRequest request,
                                                  ResponseStream stream);
// residency.cc
boost::asio::awaitable<HandlerResult> load_consumer(ApiContext& context, ApiRequest request,
                                                    ResponseStream stream);
boost::asio::awaitable<HandlerResult> unload_consumer(ApiContext& context, ApiRequest request,
                                                      ResponseStream stream);
boost::asio::awaitable<HandlerResult> park_consumer(ApiContext& context, ApiRequest request,
                                                    ResponseStream stream);
// footprints.cc
boost::asio::awaitable<HandlerResult> list_footprints(ApiContext& context, ApiRequest request,
                                                      ResponseStream stream);
boost::asio::awaitable<HandlerResult> forget_footprint(ApiContext& context, ApiRequest request,
                                                       ResponseStream stream);
// explanations.cc
boost::asio::awaitable<HandlerResult> explain_ticket(ApiContext& context, ApiRequest request,
                                                     ResponseStream stream);
boost::asio::awaitable<HandlerResult> explain_next(ApiContext& context, ApiRequest request,
                                                   ResponseStream stream);
// events.cc
boost::asio::awaitable<HandlerResult> stream_events(ApiContext& context, ApiRequest request,
                                                    ResponseStream stream);

}  // namespace mgpu::api
