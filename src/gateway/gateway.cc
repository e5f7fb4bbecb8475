#include "gateway/gateway.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "base/ascii.h"
#include "base/response_headers.h"
#include "config/services.h"
#include "gateway/body_buffer.h"
#include "gateway/forwarding_rules.h"
#include "gateway/model_finder.h"
#include "gateway/queue_options.h"
#include "http/body_decoder.h"
#include "service/out_of_memory.h"

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kChunkSize = 64 * 1024;
constexpr std::size_t kMaxCheckedErrorBody =
    64 * 1024;                                // of an error's body, held back until it is known what it means
constexpr std::size_t kMaxQuotedError = 500;  // of it, in our own error
constexpr auto kBusyPollInterval = std::chrono::milliseconds(250);
constexpr auto kLeaseEndGrace = std::chrono::milliseconds(200);

std::string now_rfc3339() { return to_rfc3339(std::chrono::system_clock::now()); }

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Error no_model_error() {
  return {ErrorCode::invalid_request,
          "the request names no AI model: " + model_route_list() +
              " want \"model\" in their body, a consumer or AI model of GET /v1/models"};
}

Error no_service_error(const config::ConsumerConfig& consumer) {
  return {ErrorCode::not_supported,
          fmt::format("{0} answers no requests: it has no service. It takes leases, by POST /v1/leases or "
                      "mgpu run --consumer {0}",
                      consumer.name)};
}

Awaitable<void> send_json(Caller& caller, int status, std::string body, Headers more = {}) {
  ResponseHead head{.status = status, .headers = std::move(more), .length = body.size()};
  head.headers.emplace_back("Content-Type", "application/json");
  Result<void> sent = co_await caller.send_head(std::move(head));
  bool has_body = caller.head.method != "HEAD";
  if (sent && has_body) sent = co_await caller.write(std::move(body));
  if (!sent) co_return caller.abort();
  co_await caller.finish();
}

// Headers of a request that we answer for ourselves.
bool is_replaced_header(std::string_view name) {
  return equals_ignore_case(name, "Host") || equals_ignore_case(name, "X-Forwarded-For") ||
         equals_ignore_case(name, "Expect") || is_mgpu_header(name);
}

// An upgrade is the one thing of a connection that goes through: both ends become one.
Headers forwarded_headers(const Headers& headers, bool upgrade) {
  Headers forwarded;
  std::string connection = http::joined_header(headers, "Connection");
  for (const auto& entry : headers) {
    bool asks_upgrade = equals_ignore_case(entry.first, "Upgrade");
    if ((upgrade && asks_upgrade) || !is_hop_by_hop(entry.first, connection)) forwarded.push_back(entry);
  }
  if (upgrade) forwarded.emplace_back("Connection", "Upgrade");
  return forwarded;
}

Error upload_too_slow_error(Bytes rate) {
  return {ErrorCode::request_timeout,
          fmt::format("the body came too slowly while its request had the turn: less than "
                      "limits.min_upload_rate, {}, in a second",
                      to_string(rate))};
}

// An answer whose body may say that device memory ran out, in words that we can read.
bool may_report_out_of_memory(const ResponseHead& head) {
  return head.status >= 400 && header(head.headers, "Content-Encoding").empty();
}

// Until `read` has no more, or either fails. The functions outlive it.
Awaitable<Result<void>> copy_stream(const std::function<Awaitable<Result<std::string>>()>& read,
                                    const std::function<Awaitable<Result<void>>(std::string)>& write) {
  while (true) {
    Result<std::string> piece = co_await read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) co_return Result<void>{};
    Result<void> written = co_await write(std::move(*piece));
    if (!written) co_return written;
  }
}

}  // namespace

struct Gateway::RequestContext {
  Caller& caller;
  Route route;
  BodyBuffer body_buffer;
  bool body_complete = false;  // early holds all of it
  std::uint64_t body_bytes = 0;
  QueueOptions queue_options{};
  engine::Target target{};
  std::string requested_model{};  // the AI model as the client says it
  std::optional<LeaseHandle> lease{};
  std::uint64_t ticket = 0;  // of the grant; the lease itself is given back before the client has it all
  Duration waited{}, loading{};
  std::optional<Upstream> upstream{};
  std::optional<Error> stop_reason{};  // the work was stopped, and why
  bool ended_by_engine = false;  // it was cancelled, but not by its client, who is still there to be told
  bool head_sent = false;
  UploadRateMonitor upload_monitor;
  std::optional<Clock::time_point> reading_since{};  // the client is waited for to send more of its body
  bool body_replayable = true;                       // early has all that came of it
  bool body_sent = false;
  bool supports_websocket = false;  // the service takes them
  bool retried = false;             // for want of memory
  bool resent = false;              // over a new connection, since a kept one was dead
  std::string content_type{};
  Clock::time_point started{};
  std::optional<Error> failure{};  // how the answer ended, if not well

  void fail_with(Error why) { failure = std::move(why); }
  // Whether the client asks for what we let through: everybody else's Upgrade ends here, as all that belongs
  // to one connection only (RFC 9110, 7.8: a server may ignore it).
  bool is_websocket_upgrade() const {
    const Headers& headers = caller.head.headers;
    return supports_websocket && caller.head.method == "GET" && caller.head.length == 0 &&
           list_contains(http::joined_header(headers, "Upgrade"), "websocket") &&
           list_contains(http::joined_header(headers, "Connection"), "upgrade");
  }
  bool has_complete_body() const { return body_complete; }

  // What is sent on is kept as long as memory may hold it, in case that all must be sent once more.
  void keep_for_retry(std::string_view piece, Bytes memory_limit) {
    const auto limit = static_cast<std::uint64_t>(memory_limit.count);
    body_replayable =
        body_replayable && body_buffer.original_size() + piece.size() <= limit && body_buffer.append(piece);
  }

  // Whether the same request may be sent again: once, and only if the client saw nothing yet.
  bool can_retry(const Error& why) const {
    return why.code == ErrorCode::out_of_memory && lease && !head_sent && !retried && body_complete &&
           body_replayable && !is_websocket_upgrade();
  }

  // The work can't go on, and it is not the service's fault: the answer's side tells it.
  void stop_with(Error why) {
    stop_reason = std::move(why);
    if (upstream) upstream->abort();
  }

  // The client was waited for since reading_since, and so much came. False: it is too slow.
  bool record_upload(std::uint64_t bytes) {
    return upload_monitor.record_chunk(std::chrono::duration_cast<Duration>(Clock::now() - *reading_since),
                                       bytes);
  }

  // A piece of the body that came while the request has its turn; empty at its end.
  Result<std::string> receive_chunk(std::string piece, const config::LimitsConfig& limits) {
    bool is_fast_enough = record_upload(piece.size()) || !lease;
    reading_since.reset();
    body_complete = piece.empty();
    if (body_complete) return piece;
    if (!is_fast_enough) return std::unexpected(upload_too_slow_error(limits.min_upload_rate));
    Result<void> counted = count_body_bytes(piece, limits.max_body);
    if (!counted) return std::unexpected(counted.error());
    keep_for_retry(piece, limits.body_memory);
    return piece;
  }

  // Counts what came of the body.
  Result<void> count_body_bytes(std::string_view piece, Bytes limit) {
    body_bytes += piece.size();
    if (body_bytes <= static_cast<std::uint64_t>(limit.count)) return {};
    return std::unexpected(http::body_too_large_error(static_cast<std::uint64_t>(limit.count)));
  }

  void set_lease(LeaseHandle granted) {
    ticket = granted.ticket;
    waited = granted.waited;
    loading = granted.loading;
    lease = std::move(granted);
  }

  Headers mgpu_headers() const {
    Headers headers;
    if (ticket != 0) {
      auto run = std::chrono::duration_cast<Duration>(Clock::now() - started);
      headers = {{"Server-Timing", server_timing_header(waited, loading, run)},
                 {"X-Mgpu-Ticket", std::to_string(ticket)}};
    }
    if (retried || resent) headers.emplace_back("X-Mgpu-Retried", "1");
    return headers;
  }

  RequestHead service_request_head() const {
    const RequestHead& client_head = caller.head;
    RequestHead service_head{
        .method = client_head.method, .target = route.target, .length = client_head.length};
    if (service_head.length)
      *service_head.length = *service_head.length - body_buffer.original_size() + body_buffer.size();
    service_head.headers = forwarded_headers(client_head.headers, is_websocket_upgrade());
    std::string received = http::joined_header(client_head.headers, "X-Forwarded-For");
    std::string forwarded = forwarded_for(received, caller.address);
    std::erase_if(service_head.headers, [](const auto& entry) { return is_replaced_header(entry.first); });
    service_head.headers.emplace_back("X-Forwarded-For", std::move(forwarded));
    return service_head;
  }

  ResponseHead client_response_head(ResponseHead response) {
    bool encoded = !header(response.headers, "Content-Encoding").empty();
    if (!response.length && !encoded) content_type = header(response.headers, "Content-Type");
    response.headers = forwarded_headers(response.headers, response.status == 101);
    for (auto& own_header : mgpu_headers()) response.headers.push_back(std::move(own_header));
    return response;
  }
};

Gateway::Gateway(EngineApi engine_api, Connector connect, config::LimitsConfig limits)
    : engine_api_(std::move(engine_api)),
      connect_(std::move(connect)),
      limits_(limits),
      body_budget_(std::make_shared<BodyBudget>(
          BodyBudget{.memory_left = static_cast<std::uint64_t>(limits.body_memory_total.count),
                     .disk_left = static_cast<std::uint64_t>(limits.spool_total.count)})) {}

Gateway::Gateway(engine::Engine& engine, http::Client& client)
    : Gateway(make_engine_api(engine), make_connector(client), engine.config()->limits) {}

Awaitable<void> Gateway::serve(http::Exchange& exchange) {
  Caller caller = make_caller(exchange);
  co_await serve(caller);
}

bool Gateway::handles(std::string_view method, std::string_view target) const {
  return find_route(method, target).has_value();
}

// The life of a request.
Awaitable<void> Gateway::serve(Caller& caller) {
  Route route = *find_route(caller.head.method, caller.head.target);
  bool is_forwarded = route.kind == RouteKind::needs_turn || route.kind == RouteKind::to_consumer ||
                      route.kind == RouteKind::ollama_show;
  if (!is_forwarded) co_return co_await respond_locally(caller, std::move(route));

  RequestContext context{.caller = caller,
                         .route = std::move(route),
                         .body_buffer = BodyBuffer(limits_.body_memory, body_budget_),
                         .upload_monitor = UploadRateMonitor(limits_.min_upload_rate)};
  Result<QueueOptions> options = parse_queue_options(caller.head.headers);
  if (!options) co_return co_await send_error(context, options.error());
  context.queue_options = std::move(*options);
  Result<void> resolved = co_await resolve_target(context);
  if (!resolved) co_return co_await send_error(context, resolved.error());
  if (engine_api_.config_of(context.target.consumer).service.type == config::ServiceType::none) {
    Error why = no_service_error(engine_api_.config_of(context.target.consumer));
    co_return co_await send_error(context, std::move(why));
  }
  if (context.route.kind == RouteKind::ollama_show) co_return co_await respond_ollama_show(context);

  // From here to give_back() the request holds a place in the line, then the consumer.
  ConsumerId consumer = context.target.consumer;
  const config::ConsumerConfig& config = engine_api_.config_of(consumer);
  bool free = context.route.kind == RouteKind::to_consumer &&
              is_free_path(config.service.free_paths, context.route.target);
  context.supports_websocket = config::service_traits(config.service.type).websocket;
  if (!free) {
    Result<void> buffered = co_await buffer_body(context);
    if (!buffered) co_return co_await send_error(context, buffered.error());
    Result<LeaseHandle> lease = co_await wait_in_line(context);
    if (!lease) co_return co_await send_error(context, lease.error());
    context.set_lease(std::move(*lease));
  }
  Result<void> forwarded = co_await forward(context);
  context.upstream.reset();
  if (!forwarded && context.can_retry(forwarded.error()))
    forwarded = co_await retry_after_out_of_memory(context);
  context.upstream.reset();

  // The service has done its part: whoever is next need not wait for this client to take the last of its.
  if (context.lease) {
    auto strand = co_await asio::this_coro::executor;
    auto release = release_when_idle(std::move(*context.lease), consumer);
    context.lease.reset();
    asio::co_spawn(strand, std::move(release), asio::detached);
  }
  if (!forwarded) co_return co_await send_error(context, forwarded.error());
  co_await caller.finish();
}

Error Gateway::unknown_consumer_error(const std::string& name) const {
  std::string known, last;
  for (const ListedModel& one : engine_api_.list_models()) {
    if (one.owner == last) continue;  // its names stand together
    last = one.owner;
    known += (known.empty() ? "" : ", ") + last;
  }
  return {ErrorCode::not_found,
          fmt::format("there is no consumer \"{}\"; known are {}", name, known.empty() ? "none" : known)};
}

// Sets passage.target, from the path or from the body; reads no more of the body than that takes.
Awaitable<Result<void>> Gateway::resolve_target(RequestContext& context) {
  std::optional<ConsumerId> consumer;
  if (context.route.kind == RouteKind::to_consumer) {
    consumer = engine_api_.find_consumer(context.route.argument);
    if (!consumer) co_return std::unexpected(unknown_consumer_error(context.route.argument));
    Result<engine::Target> only_target = engine_api_.resolve_within(*consumer, "");
    context.target = only_target.value_or(engine::Target{.consumer = *consumer});
    bool free = is_free_path(engine_api_.config_of(*consumer).service.free_paths, context.route.target);
    if (only_target || free) co_return Result<void>{};
    if (context.caller.head.length == 0) co_return std::unexpected(only_target.error());
  }
  ModelFinder finder(context.route.kind == RouteKind::ollama_show);
  Result<void> found = co_await find_model(context, finder);
  if (!found) co_return found;
  Result<engine::Target> target =
      consumer ? engine_api_.resolve_within(*consumer, finder.name()) : engine_api_.resolve(finder.name());
  if (!target) co_return std::unexpected(target.error());
  context.target = *target;
  context.requested_model = finder.name();

  std::vector<std::string> configured;
  for (const auto& [name, footprint] : engine_api_.config_of(target->consumer).ai_models)
    configured.push_back(name);
  auto service_name = service_model_name(finder.name(), engine_api_.ai_model_of(*target), configured);
  if (service_name) context.body_buffer.replace(finder.value_range(), finder.encode_name(*service_name));
  co_return Result<void>{};
}

Awaitable<Result<void>> Gateway::find_model(RequestContext& context, ModelFinder& finder) {
  ScanStatus search = ScanStatus::still_looking;
  while (search == ScanStatus::still_looking) {
    Result<std::string> piece = co_await buffer_next_chunk(context);
    if (!piece) co_return std::unexpected(piece.error());
    search = piece->empty() ? finder.finish() : finder.feed(*piece);
  }
  if (search == ScanStatus::invalid) co_return fail(ErrorCode::invalid_request, finder.reason());
  if (search == ScanStatus::absent) co_return std::unexpected(no_model_error());
  co_return Result<void>{};
}

// The next piece of the body, while the request has no turn yet, and keeps it.
Awaitable<Result<std::string>> Gateway::buffer_next_chunk(RequestContext& context) {
  Result<std::string> piece = co_await context.caller.read();
  if (!piece) co_return piece;
  context.body_complete = piece->empty();
  Result<void> buffered = context.count_body_bytes(*piece, limits_.max_body);
  if (buffered) buffered = context.body_buffer.append(*piece);
  if (!buffered) co_return std::unexpected(buffered.error());
  co_return piece;
}

// A request asks for its turn once its body is here, or as much of it as memory may hold: a client that sends
// slowly, or nothing more, keeps nobody waiting but itself.
Awaitable<Result<void>> Gateway::buffer_body(RequestContext& context) {
  context.body_complete |= context.caller.head.length == 0;
  const auto limit = static_cast<std::uint64_t>(limits_.body_memory.count);
  while (!context.body_complete && context.body_buffer.original_size() < limit) {
    Result<std::string> piece = co_await buffer_next_chunk(context);
    if (!piece) co_return std::unexpected(piece.error());
  }
  co_return Result<void>{};
}

// A client that goes away while it waits takes its ticket with it.
Awaitable<Result<LeaseHandle>> Gateway::wait_in_line(RequestContext& context) {
  Caller& caller = context.caller;
  QueueOptions options = context.queue_options;  // it may have to ask once more
  options.requested_by = fmt::format("{} {} from {}", caller.head.method,
                                     path_without_query(caller.head.target), caller.address);
  auto acquired = engine_api_.acquire(context.target, std::move(options));
  auto disconnected = caller.wait_until_disconnected();
  auto either = std::move(acquired) || std::move(disconnected);
  auto first = co_await std::move(either);
  if (first.index() == 1) co_return fail(ErrorCode::cancelled, "the client went away while it waited");
  Result<LeaseHandle> lease = std::move(std::get<0>(first));
  context.ended_by_engine = !lease;
  co_return lease;
}

// Its service ran out of memory, and said so or died of it. With more room made, the same request is sent
// once more. A lease that ended with its service can't be held again: then it is a new place in the line.
Awaitable<Result<void>> Gateway::retry_after_out_of_memory(RequestContext& context) {
  const bool lease_ended = context.stop_reason.has_value();
  context.retried = true;
  context.failure.reset();
  context.stop_reason.reset();
  context.body_buffer.rewind();
  engine_api_.count_retry();
  if (lease_ended) {
    context.lease.reset();
    Result<LeaseHandle> lease = co_await wait_in_line(context);
    if (!lease) co_return std::unexpected(lease.error());
    context.set_lease(std::move(*lease));
  } else {
    context.lease->on_ended(nullptr);
    auto reacquired = context.lease->reacquire();
    auto disconnected = context.caller.wait_until_disconnected();
    auto either = std::move(reacquired) || std::move(disconnected);
    auto first = co_await std::move(either);
    context.ended_by_engine = first.index() == 0;
    if (first.index() == 1) co_return fail(ErrorCode::cancelled, "the client went away while it waited");
    Result<LeaseHandle> lease = std::move(std::get<0>(first));
    if (!lease) co_return std::unexpected(lease.error());
    context.set_lease(std::move(*lease));
  }
  co_return co_await forward(context);
}

Awaitable<Result<void>> Gateway::forward(RequestContext& context) {
  ConsumerId consumer = context.target.consumer;
  context.started = Clock::now();

  // The work can be stopped from outside: its service died, or it took too long. Both may come late, when the
  // passage is gone.
  auto strand = co_await asio::this_coro::executor;
  asio::steady_timer lease_end_timer(strand, kLeaseEndGrace);
  auto stop = std::make_shared<std::function<void(Error)>>([&context, &lease_end_timer](Error why) {
    context.ended_by_engine = true;
    if (!context.stop_reason) context.stop_reason = std::move(why);
    if (context.upstream) context.upstream->abort();
    lease_end_timer.cancel();
  });
  std::weak_ptr<std::function<void(Error)>> stop_if_alive = stop;
  asio::steady_timer run_limit(strand);
  if (context.lease) {
    context.lease->on_ended([stop_if_alive](const Error& why) {
      if (auto alive = stop_if_alive.lock()) (*alive)(why);
    });
    run_limit.expires_after(limits_.run_limit);
    run_limit.async_wait([stop_if_alive, limit = limits_.run_limit](boost::system::error_code failed) {
      auto alive = stop_if_alive.lock();
      if (alive && !failed)
        (*alive)(
            {ErrorCode::service_down, "the work took longer than limits.run_limit, " + to_string(limit)});
    });
  }

  auto endpoint = engine_api_.endpoint(consumer);
  if (!endpoint) {
    std::string why = engine_api_.config_of(consumer).name + " is not up: its service has no port yet";
    engine_api_.report_suspect(consumer, why);
    co_return fail(ErrorCode::service_down, std::move(why));
  }
  RequestHead head = context.service_request_head();
  Result<Upstream> upstream = co_await connect_(*endpoint, std::move(head));
  if (!upstream) {
    engine_api_.report_suspect(consumer, upstream.error().detail);
    co_return std::unexpected(context.stop_reason.value_or(upstream.error()));
  }
  if (context.stop_reason) co_return std::unexpected(*context.stop_reason);
  context.upstream = std::move(*upstream);

  // Whichever ends first ends the others, and all have ended before anything else touches either connection.
  auto body = send_body(context);
  auto response = relay_response(context);
  auto disconnected = context.caller.wait_until_disconnected();
  auto either = std::move(body) || std::move(response) || std::move(disconnected);
  auto first = co_await std::move(either);
  const bool answered = first.index() == 1;
  if (answered && !context.failure) co_return Result<void>{};  // its connection may be used again
  context.upstream->abort();
  if (!answered) co_return fail(ErrorCode::cancelled, "the client went away");
  // The end of a connection is seen before the end of the process behind it, which says why.
  if (!context.stop_reason && context.lease && context.failure->code == ErrorCode::service_down) {
    lease_end_timer.expires_after(kLeaseEndGrace);
    co_await lease_end_timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (context.stop_reason) co_return std::unexpected(*context.stop_reason);
  if (!context.head_sent && context.failure->code == ErrorCode::service_down)
    engine_api_.report_suspect(consumer, context.failure->detail);
  co_return std::unexpected(*context.failure);
}

// Ends only when the client is gone; whoever brings the answer ends it otherwise.
Awaitable<void> Gateway::send_body(RequestContext& context) {
  auto pump = pump_body(context);
  bool others_wait = context.lease && !context.body_complete && limits_.min_upload_rate > Bytes{};
  if (!others_wait) co_return co_await std::move(pump);
  auto watch = watch_upload_rate(context);
  auto either = std::move(pump) || std::move(watch);
  co_await std::move(either);
}

Awaitable<void> Gateway::pump_body(RequestContext& context) {
  Upstream upstream = *context.upstream;
  asio::steady_timer never(co_await asio::this_coro::executor, Clock::time_point::max());
  bool from_buffer = true;
  while (true) {
    Result<std::string> piece = std::string{};
    if (from_buffer) {
      piece = context.body_buffer.read_next(kChunkSize);
      from_buffer = piece && !piece->empty();
    }
    if (piece && piece->empty() && !context.body_complete) {
      context.reading_since = Clock::now();
      piece = co_await context.caller.read();
      if (!piece && piece.error().code == ErrorCode::cancelled) co_return;
      if (piece) piece = context.receive_chunk(std::move(*piece), limits_);
    }
    if (!piece) {
      context.stop_with(piece.error());
      co_await never.async_wait(asio::use_awaitable);
    }
    if (piece->empty()) break;
    Result<void> sent = co_await upstream.send(std::move(*piece));
    if (!sent) co_await never.async_wait(asio::use_awaitable);  // it may have answered before it hung up
  }
  Result<void> end_sent = co_await upstream.end_body();
  context.body_sent = end_sent.has_value();
  co_await never.async_wait(asio::use_awaitable);
}

// Never ends by itself. A client that sends nothing more is noticed here, one that drips when a piece comes.
Awaitable<void> Gateway::watch_upload_rate(RequestContext& context) {
  asio::steady_timer pause(co_await asio::this_coro::executor);
  while (!context.body_complete) {
    pause.expires_after(context.upload_monitor.time_left());
    co_await pause.async_wait(asio::use_awaitable);
    if (!context.reading_since) continue;
    const bool is_fast_enough = context.record_upload(0);
    context.reading_since = Clock::now();
    if (!is_fast_enough) {
      context.stop_with(upload_too_slow_error(limits_.min_upload_rate));
      break;
    }
  }
  pause.expires_at(Clock::time_point::max());
  co_await pause.async_wait(asio::use_awaitable);
}

Awaitable<void> Gateway::relay_response(RequestContext& context) {
  Upstream upstream = *context.upstream;
  Caller& caller = context.caller;
  Result<ResponseHead> head = co_await upstream.read_response_head();
  context.resent |= upstream.was_resent();
  if (!head) co_return context.fail_with(head.error());
  Result<std::string> body_start = co_await check_out_of_memory(context, *head);
  if (!body_start) co_return context.fail_with(body_start.error());
  bool switches_protocol = head->status == 101;
  if (switches_protocol && !context.is_websocket_upgrade())
    co_return context.fail_with(
        {ErrorCode::service_down, "the service switched protocols, and nobody had asked for it"});
  // A head with a length goes out with the first of its body, and not before that is here: a service that
  // breaks off between the two is an error that can still be told.
  const bool body_follows =
      head->length.value_or(0) > 0 && body_start->empty() && caller.head.method != "HEAD";
  if (body_follows && !switches_protocol) {
    body_start = co_await upstream.read();
    if (!body_start) co_return context.fail_with(body_start.error());
  }
  ResponseHead client_head = context.client_response_head(std::move(*head));
  Result<void> head_result = co_await caller.send_head(std::move(client_head));
  context.head_sent = true;
  if (!head_result) co_return context.fail_with(head_result.error());
  if (switches_protocol) {
    auto both_ways = tunnel(context);
    co_return co_await std::move(both_ways);
  }
  if (context.body_sent) context.body_buffer.clear();  // nothing is sent once more after this
  Result<void> copied{};
  if (!body_start->empty()) copied = co_await caller.write(std::move(*body_start));
  if (copied) copied = co_await copy_stream(upstream.read, caller.write);
  if (!copied) context.fail_with(copied.error());
}

// Ends when the service has said all. A client that has said all may still listen.
Awaitable<void> Gateway::tunnel(RequestContext& context) {
  Upstream upstream = *context.upstream;
  Caller& caller = context.caller;
  auto to_service = [](Caller& from, const Upstream& to) -> Awaitable<void> {
    auto copying = copy_stream(from.read, to.send);
    Result<void> copied = co_await std::move(copying);
    if (!copied) co_return;
    to.shutdown_send();
    asio::steady_timer never(co_await asio::this_coro::executor, Clock::time_point::max());
    co_await never.async_wait(asio::use_awaitable);
  };
  auto out = copy_stream(upstream.read, caller.write);
  auto in = to_service(caller, upstream);
  auto either = std::move(out) || std::move(in);
  auto first = co_await std::move(either);
  if (first.index() == 1)
    context.fail_with({ErrorCode::service_down, "the tunnel broke"});
  else if (!std::get<0>(first))
    context.fail_with(std::get<0>(first).error());
}

// What was read of an answer in order to see whether it says that memory ran out; nothing of it went to the
// client yet. Error: out_of_memory (it does), or reading failed.
Awaitable<Result<std::string>> Gateway::check_out_of_memory(RequestContext& context,
                                                            const ResponseHead& head) {
  std::string body;
  if (!context.lease || !may_report_out_of_memory(head)) co_return body;
  Upstream upstream = *context.upstream;
  while (body.size() < kMaxCheckedErrorBody) {
    Result<std::string> piece = co_await upstream.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) break;
    body += *piece;
  }
  const config::ConsumerConfig& config = engine_api_.config_of(context.target.consumer);
  if (!service::says_out_of_memory(config.service.type, head.status, body)) co_return body;
  co_return fail(ErrorCode::out_of_memory, fmt::format("{} answered {}: {}", config.name, head.status,
                                                       std::string_view(body).substr(0, kMaxQuotedError)));
}

// The answer is complete, but some applications answer first and compute then.
Awaitable<void> Gateway::release_when_idle(LeaseHandle lease, ConsumerId consumer) {
  auto ended = std::make_shared<bool>(false);
  lease.on_ended([ended](const Error&) { *ended = true; });
  asio::steady_timer pause(co_await asio::this_coro::executor);
  Clock::time_point until = Clock::now() + limits_.run_limit;
  while (!*ended && Clock::now() < until) {
    bool busy = co_await engine_api_.is_busy(consumer);
    if (!busy) break;
    pause.expires_after(kBusyPollInterval);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

Awaitable<void> Gateway::respond_locally(Caller& caller, Route route) {
  std::vector<ListedModel> listed = engine_api_.list_models();
  std::string body;
  int status = 200;
  Headers headers;
  switch (route.kind) {
    case RouteKind::list_models:
      body = models_body(listed, unix_seconds());
      break;
    case RouteKind::ollama_tags:
      body = tags_body(listed, now_rfc3339());
      break;
    case RouteKind::ollama_ps:
      body = ps_body(listed, now_rfc3339());
      break;
    case RouteKind::ollama_version:
      body = R"({"version":"0.12.0"})";
      break;  // what its clients compare with
    case RouteKind::get_model: {
      auto one = std::ranges::find(listed, route.argument, &ListedModel::id);
      if (one != listed.end()) {
        body = model_body(*one, unix_seconds());
        break;
      }
      Result<engine::Target> target = engine_api_.resolve(route.argument);
      if (target) {
        body = model_body({.id = route.argument, .owner = engine_api_.config_of(target->consumer).name},
                          unix_seconds());
        break;
      }
      status = http_status(target.error().code);
      body = error_body(route.protocol, target.error());
      break;
    }
    default: {
      status = 405;
      headers.emplace_back("Allow", route.argument);
      std::string why = fmt::format("{} takes {}, not {}", path_without_query(route.target), route.argument,
                                    caller.head.method);
      body = error_body(route.protocol, {ErrorCode::invalid_request, why});
      break;
    }
  }
  co_await send_json(caller, status, std::move(body), std::move(headers));
}

// Ollama's clients ask it before they chat; it must neither load nor wait.
Awaitable<void> Gateway::respond_ollama_show(RequestContext& context) {
  ConsumerId consumer = context.target.consumer;
  const config::ConsumerConfig& config = engine_api_.config_of(consumer);
  if (config::service_traits(config.service.type).answers_ollama_show && engine_api_.endpoint(consumer)) {
    Result<void> forwarded = co_await forward(context);
    if (forwarded) co_return co_await context.caller.finish();
    if (context.head_sent || !context.has_complete_body())
      co_return co_await send_error(context, forwarded.error());
  }
  std::string body = show_body({.id = context.requested_model, .owner = config.name}, now_rfc3339());
  co_await send_json(context.caller, 200, std::move(body));
}

Awaitable<void> Gateway::send_error(RequestContext& context, Error error) {
  Caller& caller = context.caller;
  if (error.code == ErrorCode::cancelled && !context.ended_by_engine) co_return caller.abort();
  if (context.head_sent) {
    std::string last = error_in_stream(context.content_type, context.route.protocol, error);
    if (!last.empty()) co_await caller.write(std::move(last));
    co_return caller.abort();
  }
  Headers headers = context.mgpu_headers();
  if (auto advice = retry_after_header(error)) headers.emplace_back("Retry-After", *std::move(advice));
  std::string body = error_body(context.route.protocol, error);
  co_await send_json(caller, http_status(error.code), std::move(body), std::move(headers));
}

}  // namespace mgpu::gateway
