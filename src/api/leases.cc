// Leases: waiting for one, holding it for a time to live or for as long as a connection lives, giving it
// back.
#include <algorithm>
#include <utility>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "api/desk.h"
#include "api/lease_book.h"
#include "api/lease_pid.h"
#include "api/lease_request.h"
#include "api/notifier.h"
#include "api/status.h"
#include "sched/start_estimate.h"
#include "sched/step.h"

namespace mgpu::api {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;

// At somebody's place in the line, where more tickets than these are in it.
constexpr std::chrono::milliseconds kBetweenLooks{100};
constexpr std::size_t kCrowd = 64;

Result<TicketRequest> bare_ask(const LeaseRequest& request, const engine::Engine& engine) {
  TicketRequest ask{.bytes = request.bytes};
  if (request.device.empty()) return ask;
  const auto device = engine.find_device(request.device);
  if (!device) return fail(ErrorCode::not_found, "no device \"" + request.device + "\"; see GET /v1/status");
  ask.device = *device;
  return ask;
}

Result<engine::Target> target_of(const LeaseRequest& request, engine::Engine& engine) {
  if (request.ai_model.empty()) return engine.resolve(request.consumer);
  const auto consumer = engine.find_consumer(request.consumer);
  if (!consumer) return engine.resolve(request.consumer);  // words the error
  return engine.resolve(*consumer, request.ai_model);
}

// Which consumer or how many bytes, and where.
Result<TicketRequest> place_of(const LeaseRequest& request, engine::Engine& engine) {
  if (request.consumer.empty()) return bare_ask(request, engine);
  const auto target = target_of(request, engine);
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

Result<TicketRequest> ask_of(const LeaseRequest& request, engine::Engine& engine) {
  Result<TicketRequest> ask = place_of(request, engine);
  if (!ask) return ask;
  ask->wait_limit = request.wait_limit;
  ask->priority = request.priority;
  ask->user = engine.user_number(request.user, "");
  ask->deadline = request.deadline;
  return ask;
}

engine::Holder holder_of(const LeaseRequest& request, const Call& call) {
  return {.who = request.who.empty() ? "a lease from " + call.peer : request.who,
          .pid = request.pid ? verified_pid(*request.pid, call.peer) : std::nullopt};
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
struct Wait {
  std::optional<TicketId> ticket{};
  std::optional<Result<engine::Lease>> result{};
  bool streaming = false;  // the head of the answer went out
};

asio::awaitable<void> wait_in_line(Desk& desk, TicketRequest ask, engine::Holder holder, Wait& wait,
                                   Waiter& waiter) {
  std::function<void(TicketId)> on_ticket = [&wait](TicketId ticket) { wait.ticket = ticket; };
  auto result = co_await desk.engine.acquire(ask, std::move(holder), std::move(on_ticket));
  wait.result.emplace(std::move(result));
  waiter.wake();
}

asio::awaitable<void> tell(const Outlet& outlet, Json event) {
  std::string line = dump(event) + "\n";
  const Result<void> written = co_await outlet.write(std::move(line));
  if (!written) throw boost::system::system_error(asio::error::connection_reset, written.error().detail);
}

asio::awaitable<void> begin_stream(const Outlet& outlet, Wait& wait) {
  Reply head{.content_type = "application/x-ndjson"};
  if (wait.ticket) head.headers.emplace_back("X-Mgpu-Ticket", std::to_string(wait.ticket->value));
  wait.streaming = true;
  const Result<void> begun = co_await outlet.begin(std::move(head));
  if (!begun) throw boost::system::system_error(asio::error::connection_reset, begun.error().detail);
}

Json waiting_json(Desk& desk, TicketId id, std::size_t place) {
  const World& world = desk.engine.world();
  Json event{{"event", "waiting"}, {"ticket", id.value}, {"place", place}};
  const auto ticket = world.tickets.find(id);
  if (ticket == world.tickets.end()) return event;
  const auto start = desk.starts.of(desk.engine, id);
  event["estimated_wait_ms"] = start ? Json(to_ms(time_remaining(*start, desk.engine.now()))) : Json(nullptr);
  const LineState& line = world.lines[ticket->second.request.device.value];
  if (!line.turns.empty()) event["behind"] = world.registry[line.turns.front()].spec.name;
  return event;
}

// Ends by itself once the wait is over, so that no line is cut off in its middle.
asio::awaitable<void> tell_places(Desk& desk, const Outlet& outlet, Wait& wait, Waiter& waiter) {
  std::optional<std::size_t> told;
  while (!wait.result) {
    if (wait.ticket) {
      if (!wait.streaming) co_await begin_stream(outlet, wait);
      const std::size_t place = place_in_line(desk.engine.world(), *wait.ticket);
      if (!wait.result && told != place) {
        told = place;
        Json event = waiting_json(desk, *wait.ticket, place);
        co_await tell(outlet, std::move(event));
        continue;  // it may have changed while the client was slow
      }
    }
    const auto until = std::chrono::steady_clock::now() + std::chrono::hours(1);
    if (!wait.result) co_await waiter.wait(until);
    // A thousand who wait must not each look at the line at every event.
    const auto look_again = std::chrono::steady_clock::now() + kBetweenLooks;
    const bool crowded = desk.engine.world().tickets.size() > kCrowd;
    if (!wait.result && crowded) co_await waiter.pause(look_again);
  }
}

asio::awaitable<Answer> hold_while_connected(Desk& desk, Outlet outlet, TicketRequest ask,
                                             engine::Holder holder) {
  Wait wait;
  {
    Waiter waiter(desk.executor, desk.notifier);
    auto waiting = wait_in_line(desk, ask, std::move(holder), wait, waiter);
    auto telling = tell_places(desk, outlet, wait, waiter);
    auto both = std::move(waiting) && std::move(telling);
    co_await std::move(both);
  }
  Result<engine::Lease>& lease = *wait.result;
  if (!lease && !wait.streaming) co_return std::unexpected(lease.error());
  if (!wait.streaming) co_await begin_stream(outlet, wait);
  std::optional<Error> ended;
  if (lease) {
    Json shown = lease_json(desk.engine, *lease, ask, nullptr);
    const auto listed = desk.leases.list(lease->ticket(), shown);
    shown["event"] = "granted";
    co_await tell(outlet, std::move(shown));
    asio::steady_timer until_ended(desk.executor, asio::steady_timer::time_point::max());
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
  Json last = error_json(*ended);
  last["event"] = "ended";
  co_await tell(outlet, std::move(last));
  co_return std::nullopt;
}

Error unknown_lease(std::uint64_t id) {
  return {ErrorCode::not_found,
          "no lease " + std::to_string(id) + ": it was given back, has expired, or never was"};
}

}  // namespace

asio::awaitable<Answer> take_lease(Desk& desk, Call call, Outlet outlet) {
  const auto request = parse_lease_request(call.body);
  if (!request) co_return std::unexpected(request.error());
  const auto ask = ask_of(*request, desk.engine);
  if (!ask) co_return std::unexpected(ask.error());
  auto place = desk.leases.reserve();
  if (!place) co_return std::unexpected(place.error());
  engine::Holder holder = holder_of(*request, call);
  if (request->bound_to_connection) {
    TicketRequest asked = *ask;
    co_return co_await hold_while_connected(desk, std::move(outlet), asked, std::move(holder));
  }
  TicketRequest asked = *ask;
  auto lease = co_await desk.engine.acquire(asked, std::move(holder));
  if (!lease) co_return std::unexpected(lease.error());
  const Duration ttl = request->ttl.value_or(desk.engine.config().limits.lease_ttl);
  const Json shown = lease_json(desk.engine, *lease, *ask, to_ms(ttl));
  Reply reply = json_reply(shown);
  reply.headers = timing_headers(lease->ticket(), lease->waited(), lease->loading());
  desk.leases.keep(std::move(*lease), std::move(*place), ttl, shown);
  co_return reply;
}

asio::awaitable<Answer> list_leases(Desk& desk, Call, Outlet) {
  Json leases = Json::array();
  for (const auto& [ticket, shown] : desk.leases.shown()) leases.push_back(shown);
  co_return json_reply({{"leases", std::move(leases)}});
}

asio::awaitable<Answer> release_lease(Desk& desk, Call call, Outlet) {
  const auto id = number_in(call, "id");
  if (!id) co_return std::unexpected(id.error());
  if (desk.leases.is_bound(TicketId{*id})) {
    if (auto cancelled = desk.engine.cancel(TicketId{*id}, "its lease was released by " + call.peer);
        !cancelled)
      co_return std::unexpected(cancelled.error());
  } else if (!desk.leases.release(TicketId{*id})) {
    co_return std::unexpected(unknown_lease(*id));
  }
  co_return json_reply({{"id", *id}, {"released", true}});
}

asio::awaitable<Answer> heartbeat(Desk& desk, Call call, Outlet) {
  const auto id = number_in(call, "id");
  if (!id) co_return std::unexpected(id.error());
  const auto shown = desk.leases.heartbeat(TicketId{*id});
  if (!shown) co_return std::unexpected(unknown_lease(*id));
  co_return json_reply(*shown);
}

}  // namespace mgpu::api
