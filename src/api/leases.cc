// Leases: waiting for one, holding it for a time to live or for as long as a connection lives, giving it
// back.
#include <algorithm>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "api/api_context.h"
#include "api/lease_pid.h"
#include "api/lease_request.h"
#include "api/lease_table.h"
#include "api/notifier.h"
#include "api/status.h"
#include "sched/start_estimate.h"
#include "sched/step.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

// How often a ticket's place is looked up where the line is long (kLongLine).
constexpr std::chrono::milliseconds kLongLineInterval{100};

Result<TicketRequest> bare_ask(const LeaseRequest& request, const engine::Engine& engine) {
  TicketRequest ask{.bytes = request.bytes};
  if (request.device.empty()) return ask;
  const auto device = engine.find_device(request.device);
  if (!device) return fail(ErrorCode::not_found, "no device \"" + request.device + "\"; see GET /v1/status");
  ask.device = *device;
  return ask;
}

Result<engine::Target> resolve_target(const LeaseRequest& request, engine::Engine& engine) {
  if (request.ai_model.empty()) return engine.resolve(request.consumer);
  const auto consumer = engine.find_consumer(request.consumer);
  if (!consumer) return engine.resolve(request.consumer);  // words the error
  return engine.resolve(*consumer, request.ai_model);
}

// Which consumer or how many bytes, and where.
Result<TicketRequest> target_ask(const LeaseRequest& request, engine::Engine& engine) {
  if (request.consumer.empty()) return bare_ask(request, engine);
  const auto target = resolve_target(request, engine);
  if (!target) return std::unexpected(target.error());
  const Registry& registry = engine.world().registry;
  const DeviceId device = registry[target->consumer].spec.device;
  TicketRequest ask{
      .device = device, .consumer = target->consumer, .resident = target->resident, .bytes = request.bytes};
  if (request.device.empty()) return ask;
  const auto wanted = engine.find_device(request.device);
  const Consumer& spec = registry[target->consumer].spec;
  if (wanted && spec.split.empty() && std::ranges::find(spec.devices, *wanted) != spec.devices.end()) {
    ask.device = *wanted;
    ask.device_requested = true;
  } else if (wanted != device) {
    return fail(ErrorCode::invalid_request, "consumer " + request.consumer + " is bound to device " +
                                                registry.devices[device.value].name);
  }
  return ask;
}

Result<TicketRequest> ask_from_request(const LeaseRequest& request, const Principal& principal,
                                       engine::Engine& engine) {
  Result<TicketRequest> ask = target_ask(request, engine);
  if (!ask) return ask;
  ask->wait_limit = request.wait_limit;
  ask->priority = request.priority;
  ask->user = engine.user_of(principal);
  ask->deadline = request.deadline;
  return ask;
}

// A client may ask on behalf of another user, by naming it in the body.
Principal principal_from_request(const LeaseRequest& lease_request, const ApiRequest& request) {
  Principal principal = request.principal;
  if (!lease_request.user.empty()) principal.user = lease_request.user;
  return principal;
}

engine::Holder holder_from_request(const LeaseRequest& lease_request, const ApiRequest& request,
                                   Principal principal) {
  return {.who = lease_request.who.empty() ? "a lease from " + request.peer : lease_request.who,
          .pid = lease_request.pid ? verified_pid(*lease_request.pid, request.peer) : std::nullopt,
          .principal = std::move(principal)};
}

Json pid_json(const engine::Engine& engine, TicketId ticket) {
  const engine::Holder* holder = engine.holder(ticket);
  return holder != nullptr && holder->pid ? Json(*holder->pid) : Json(nullptr);
}

Json lease_json(const engine::Engine& engine, const engine::Lease& lease, const TicketRequest& ask,
                Json ttl_ms) {
  const Registry& registry = engine.world().registry;
  return {{"id", lease.ticket().value},
          {"ticket", lease.ticket().value},
          {"consumer", ask.consumer ? Json(registry[*ask.consumer].spec.name) : Json(nullptr)},
          {"ai_model", ask.resident ? registry[*ask.resident].ai_model : ""},
          {"device", registry.devices[lease.device().value].name},
          {"bytes", ask.bytes.count},
          {"pid", pid_json(engine, lease.ticket())},
          {"waited_ms", to_ms(lease.waited())},
          {"loading_ms", to_ms(lease.loading())},
          {"ttl_ms", std::move(ttl_ms)},
          {"url", ask.consumer ? url_json(engine, *ask.consumer) : Json(nullptr)}};
}

// Both halves of a bound lease's wait: the one that waits, and the one that tells the client how it stands.
struct BoundLeaseWait {
  std::optional<TicketId> ticket{};
  std::optional<Result<engine::Lease>> result{};
  bool streaming = false;  // the head of the answer went out
};

asio::awaitable<void> wait_in_line(ApiContext& context, TicketRequest ask, engine::Holder holder,
                                   BoundLeaseWait& wait, Waiter& waiter) {
  std::function<void(TicketId)> on_ticket = [&wait](TicketId ticket) { wait.ticket = ticket; };
  auto result = co_await context.engine.acquire(ask, std::move(holder), std::move(on_ticket));
  wait.result.emplace(std::move(result));
  waiter.wake();
}

asio::awaitable<void> write_event(const ResponseStream& stream, Json event) {
  std::string line = dump(event) + "\n";
  const Result<void> written = co_await stream.write(std::move(line));
  if (!written) throw boost::system::system_error(asio::error::connection_reset, written.error().detail);
}

asio::awaitable<void> begin_stream(const ResponseStream& stream, BoundLeaseWait& wait) {
  ApiResponse head{.content_type = "application/x-ndjson"};
  if (wait.ticket) head.headers.emplace_back("X-Mgpu-Ticket", std::to_string(wait.ticket->value));
  wait.streaming = true;
  const Result<void> begun = co_await stream.begin(std::move(head));
  if (!begun) throw boost::system::system_error(asio::error::connection_reset, begun.error().detail);
}

Json waiting_event_json(ApiContext& context, TicketId id, std::size_t place) {
  const World& world = context.engine.world();
  Json event{{"event", "waiting"}, {"ticket", id.value}, {"place", place}};
  const auto ticket = world.tickets.find(id);
  if (ticket == world.tickets.end()) return event;
  const auto start = context.start_estimates.start_of(id);
  event["estimated_wait_ms"] =
      start ? Json(to_ms(time_remaining(*start, context.engine.now()))) : Json(nullptr);
  const LineState& line = world.lines[ticket->second.request.device.value];
  if (!line.turns.empty()) event["behind"] = world.registry[line.turns.front()].spec.name;
  return event;
}

// Ends by itself once the wait is over, so that no line is cut off in its middle.
asio::awaitable<void> stream_places(ApiContext& context, const ResponseStream& stream, BoundLeaseWait& wait,
                                    Waiter& waiter) {
  std::optional<std::size_t> last_place;
  while (!wait.result) {
    if (wait.ticket) {
      if (!wait.streaming) co_await begin_stream(stream, wait);
      const std::size_t place = place_in_line(context.engine.world(), *wait.ticket);
      if (!wait.result && last_place != place) {
        last_place = place;
        Json event = waiting_event_json(context, *wait.ticket, place);
        co_await write_event(stream, std::move(event));
        continue;  // it may have changed while the client was slow
      }
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::hours(1);
    if (!wait.result) co_await waiter.wait(until);
    // A thousand who wait must not each look at the line at every event.
    const auto look_again = std::chrono::steady_clock::now() + kLongLineInterval;
    const bool is_long = context.engine.world().tickets.size() > kLongLine;
    if (!wait.result && is_long) co_await waiter.sleep_until(look_again);
  }
}

asio::awaitable<HandlerResult> hold_while_connected(ApiContext& context, ResponseStream stream,
                                                    TicketRequest ask, engine::Holder holder) {
  BoundLeaseWait wait;
  {
    Waiter waiter(context.executor, context.notifier);
    auto waiting = wait_in_line(context, ask, std::move(holder), wait, waiter);
    auto place_stream = stream_places(context, stream, wait, waiter);
    auto both = std::move(waiting) && std::move(place_stream);
    co_await std::move(both);
  }
  Result<engine::Lease>& lease = *wait.result;
  if (!lease && !wait.streaming) co_return std::unexpected(lease.error());
  if (!wait.streaming) co_await begin_stream(stream, wait);
  std::optional<Error> ended;
  if (lease) {
    Json listing = lease_json(context.engine, *lease, ask, nullptr);
    const auto listed = context.leases.add_listing(lease->ticket(), listing);
    listing["event"] = "granted";
    co_await write_event(stream, std::move(listing));
    asio::steady_timer until_ended(context.executor, asio::steady_timer::time_point::max());
    lease->on_ended([&until_ended](const Error&) { until_ended.cancel(); });
    try {
      if (!lease->end_error()) co_await until_ended.async_wait(asio::use_awaitable);
    } catch (const boost::system::system_error&) {
      if (!lease->end_error()) throw;  // the client is gone: the lease gives itself back
    }
    ended = lease->end_error();
  } else {
    ended = lease.error();
  }
  Json end_event = error_json(*ended);
  end_event["event"] = "ended";
  co_await write_event(stream, std::move(end_event));
  co_return std::nullopt;
}

Error unknown_lease_error(const engine::Engine& engine, std::uint64_t id) {
  if (const auto of_this_start = engine.check_of_this_start(TicketId{id}); !of_this_start)
    return of_this_start.error();
  return {ErrorCode::not_found,
          "no lease " + std::to_string(id) + ": it was given back, has expired, or never was"};
}

}  // namespace

asio::awaitable<HandlerResult> acquire_lease(ApiContext& context, ApiRequest request, ResponseStream stream) {
  const auto lease_request = parse_lease_request(request.body);
  if (!lease_request) co_return std::unexpected(lease_request.error());
  Principal principal = principal_from_request(*lease_request, request);
  const auto ask = ask_from_request(*lease_request, principal, context.engine);
  if (!ask) co_return std::unexpected(ask.error());
  auto slot = context.leases.reserve_slot();
  if (!slot) co_return std::unexpected(slot.error());
  engine::Holder holder = holder_from_request(*lease_request, request, std::move(principal));
  if (lease_request->bound_to_connection) {
    TicketRequest ask_copy = *ask;
    co_return co_await hold_while_connected(context, std::move(stream), ask_copy, std::move(holder));
  }
  TicketRequest ask_copy = *ask;
  auto lease = co_await context.engine.acquire(ask_copy, std::move(holder));
  if (!lease) co_return std::unexpected(lease.error());
  const Duration ttl = lease_request->ttl.value_or(context.engine.config()->limits.lease_ttl);
  const Json listing = lease_json(context.engine, *lease, *ask, to_ms(ttl));
  ApiResponse response = json_response(listing);
  response.headers = timing_headers(lease->ticket(), lease->waited(), lease->loading());
  context.leases.add(std::move(*lease), std::move(*slot), ttl, listing);
  co_return response;
}

asio::awaitable<HandlerResult> list_leases(ApiContext& context, ApiRequest, ResponseStream) {
  Json leases = Json::array();
  for (const auto& [ticket, listing] : context.leases.listings()) leases.push_back(listing);
  co_return json_response({{"leases", std::move(leases)}});
}

asio::awaitable<HandlerResult> release_lease(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto id = number_from_path(request, "id");
  if (!id) co_return std::unexpected(id.error());
  if (context.leases.is_bound(TicketId{*id})) {
    if (auto cancelled = context.engine.cancel(TicketId{*id}, "its lease was released by " + request.peer);
        !cancelled)
      co_return std::unexpected(cancelled.error());
  } else if (!context.leases.release(TicketId{*id})) {
    co_return std::unexpected(unknown_lease_error(context.engine, *id));
  }
  co_return json_response({{"id", *id}, {"released", true}});
}

asio::awaitable<HandlerResult> renew_lease(ApiContext& context, ApiRequest request, ResponseStream) {
  const auto id = number_from_path(request, "id");
  if (!id) co_return std::unexpected(id.error());
  const auto listing = context.leases.renew(TicketId{*id});
  if (!listing) co_return std::unexpected(unknown_lease_error(context.engine, *id));
  co_return json_response(*listing);
}

}  // namespace mgpu::api
