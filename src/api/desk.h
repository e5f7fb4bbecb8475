// What every handler of the control plane works with.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "api/call.h"
#include "api/codec.h"
#include "engine/engine.h"

namespace mgpu::api {

class EventFeed;
class LeaseBook;
class Notifier;
class StartEstimates;

struct Desk {
  engine::Engine& engine;
  LeaseBook& leases;
  Notifier& notifier;
  EventFeed& events;
  StartEstimates& starts;
  boost::asio::any_io_executor executor{};
  std::string version{};
  std::string started{};
  std::function<std::uint64_t()> log_lines_dropped{};
};

// A handler is one coroutine; its client going away is its cancellation, and whatever it holds is given back
// by destructors.
using Handler = boost::asio::awaitable<Answer> (*)(Desk&, Call, Outlet);

// What waited and what it cost, in the answer's headers: Server-Timing and X-Mgpu-Ticket.
std::vector<std::pair<std::string, std::string>> timing_headers(TicketId ticket, Duration waited,
                                                                Duration loading);

Reply json_reply(const Json& json, int status = 200);
Reply error_reply(const Error& error);

// Error: not_found, naming the known ones.
Result<ConsumerId> consumer_in(const Call& call, const engine::Engine& engine);
// An integer in the path. Error: not_found.
Result<std::uint64_t> number_in(const Call& call, const std::string& argument);

// leases.cc
boost::asio::awaitable<Answer> list_leases(Desk& desk, Call call, Outlet outlet);
boost::asio::awaitable<Answer> take_lease(Desk& desk, Call call, Outlet outlet);
boost::asio::awaitable<Answer> release_lease(Desk& desk, Call call, Outlet outlet);
boost::asio::awaitable<Answer> heartbeat(Desk& desk, Call call, Outlet outlet);
// residency.cc
boost::asio::awaitable<Answer> load_consumer(Desk& desk, Call call, Outlet outlet);
boost::asio::awaitable<Answer> unload_consumer(Desk& desk, Call call, Outlet outlet);
boost::asio::awaitable<Answer> park_consumer(Desk& desk, Call call, Outlet outlet);
// footprints.cc
boost::asio::awaitable<Answer> list_footprints(Desk& desk, Call call, Outlet outlet);
boost::asio::awaitable<Answer> forget_footprint(Desk& desk, Call call, Outlet outlet);
// explanations.cc
boost::asio::awaitable<Answer> explain_ticket(Desk& desk, Call call, Outlet outlet);
boost::asio::awaitable<Answer> explain_next(Desk& desk, Call call, Outlet outlet);
// events.cc
boost::asio::awaitable<Answer> stream_events(Desk& desk, Call call, Outlet outlet);

}  // namespace mgpu::api
