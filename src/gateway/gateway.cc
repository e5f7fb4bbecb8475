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
#include "gateway/asking.h"
#include "gateway/early_body.h"
#include "gateway/model_finder.h"
#include "gateway/passing_on.h"
#include "http/body_decoder.h"
#include "service/out_of_memory.h"

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;
using namespace asio::experimental::awaitable_operators;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kPiece = 64 * 1024;
constexpr std::size_t kJudged = 64 * 1024;  // of an error's body, held back until it is known what it means
constexpr std::size_t kToldOfIt = 500;      // of it, in our own error
constexpr auto kBusyPause = std::chrono::milliseconds(250);
constexpr auto kNewsLimit = std::chrono::milliseconds(200);

std::string now_rfc3339() { return to_rfc3339(std::chrono::system_clock::now()); }

std::int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
      .count();
}

Error no_model_named() {
  return {ErrorCode::invalid_request,
          "the request names no AI model: " + routes_that_name_a_model() +
              " want \"model\" in their body, a consumer or AI model of GET /v1/models"};
}

Error no_service(const config::ConsumerConfig& consumer) {
  return {ErrorCode::not_supported,
          fmt::format("{0} answers no requests: it has no service. It takes leases, by POST /v1/leases or "
                      "mgpu run --consumer {0}",
                      consumer.name)};
}

Awaitable<void> answer_with(Caller& caller, int status, std::string body, Headers more = {}) {
  ResponseHead head{.status = status, .headers = std::move(more), .length = body.size()};
  head.headers.emplace_back("Content-Type", "application/json");
  Result<void> begun = co_await caller.begin(std::move(head));
  bool has_body = caller.head.method != "HEAD";
  if (begun && has_body) begun = co_await caller.write(std::move(body));
  if (!begun) co_return caller.break_off();
  co_await caller.finish();
}

// Headers of a request that we answer for ourselves.
bool is_own_header(std::string_view name) {
  return equals_ignore_case(name, "Host") || equals_ignore_case(name, "X-Forwarded-For") ||
         equals_ignore_case(name, "Expect") || is_for_us(name);
}

// An upgrade is the one thing of a connection that goes through: both ends become one.
Headers passed_on(const Headers& headers, bool upgrade) {
  Headers passed;
  std::string connection = http::joined_header(headers, "Connection");
  for (const auto& line : headers) {
    bool asks_upgrade = equals_ignore_case(line.first, "Upgrade");
    if ((upgrade && asks_upgrade) || !is_hop_by_hop(line.first, connection)) passed.push_back(line);
  }
  if (upgrade) passed.emplace_back("Connection", "Upgrade");
  return passed;
}

Error too_slow(Bytes rate) {
  return {ErrorCode::request_timeout,
          fmt::format("the body came too slowly while its request had the turn: less than "
                      "limits.min_upload_rate, {}, in a second",
                      to_string(rate))};
}

// An answer whose body may say that device memory ran out, in words that we can read.
bool may_mean_no_memory(const ResponseHead& head) {
  return head.status >= 400 && header(head.headers, "Content-Encoding").empty();
}

// Until `read` has no more, or either fails. The functions outlive it.
Awaitable<Result<void>> copy(const std::function<Awaitable<Result<std::string>>()>& read,
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

struct Gateway::Passage {
  Caller& caller;
  Route route;
  EarlyBody early;
  bool body_over = false;  // early holds all of it
  std::uint64_t body_bytes = 0;
  Asking asking{};
  engine::Target target{};
  std::string asked{};  // the AI model as the client says it
  std::optional<Held> held{};
  std::uint64_t ticket = 0;  // of the grant; the lease itself is given back before the client has it all
  Duration waited{}, loading{};
  std::optional<Upstream> upstream{};
  std::optional<Error> ended{};  // the work was stopped, and why
  bool removed = false;          // it was cancelled, but not by its client, who is still there to be told
  bool head_sent = false;
  UploadRate rate;
  std::optional<Clock::time_point> reading_since{};  // the client is waited for to send more of its body
  bool body_kept = true;                             // early has all that came of it
  bool body_sent = false;
  bool websocket = false;  // the service takes them
  bool retried = false;    // for want of memory
  bool resent = false;     // over a new connection, since a kept one was dead
  std::string content_type{};
  Clock::time_point started{};
  std::optional<Error> failure{};  // how the answer ended, if not well

  void fail_with(Error why) { failure = std::move(why); }
  // Whether the client asks for what we let through: everybody else's Upgrade ends here, as all that belongs
  // to one connection only (RFC 9110, 7.8: a server may ignore it).
  bool upgrades() const {
    const Headers& headers = caller.head.headers;
    return websocket && caller.head.method == "GET" && caller.head.length == 0 &&
           list_contains(http::joined_header(headers, "Upgrade"), "websocket") &&
           list_contains(http::joined_header(headers, "Connection"), "upgrade");
  }
  bool early_complete() const { return body_over; }

  // What is sent on is kept as long as memory may hold it, in case that all must be sent once more.
  void keep(std::string_view piece, Bytes in_memory) {
    const auto limit = static_cast<std::uint64_t>(in_memory.count);
    body_kept = body_kept && early.original_size() + piece.size() <= limit && early.append(piece);
  }

  // Whether the same request may be sent again: once, and only if the client saw nothing yet.
  bool may_go_again(const Error& why) const {
    return why.code == ErrorCode::out_of_memory && held && !head_sent && !retried && body_over && body_kept &&
           !upgrades();
  }

  // The work can't go on, and it is not the service's fault: the answer's side tells it.
  void give_up(Error why) {
    ended = std::move(why);
    if (upstream) upstream->abort();
  }

  // The client was waited for since reading_since, and so much came. False: it is too slow.
  bool count_waiting(std::uint64_t bytes) {
    return rate.keeps_up(std::chrono::duration_cast<Duration>(Clock::now() - *reading_since), bytes);
  }

  // A piece of the body that came while the request has its turn; empty at its end.
  Result<std::string> receive(std::string piece, const config::LimitsConfig& limits) {
    bool keeps_up = count_waiting(piece.size()) || !held;
    reading_since.reset();
    body_over = piece.empty();
    if (body_over) return piece;
    if (!keeps_up) return std::unexpected(too_slow(limits.min_upload_rate));
    Result<void> taken = take(piece, limits.max_body);
    if (!taken) return std::unexpected(taken.error());
    keep(piece, limits.body_memory);
    return piece;
  }

  // Counts what came of the body.
  Result<void> take(std::string_view piece, Bytes limit) {
    body_bytes += piece.size();
    if (body_bytes <= static_cast<std::uint64_t>(limit.count)) return {};
    return std::unexpected(http::body_too_large_error(static_cast<std::uint64_t>(limit.count)));
  }

  void hold(Held lease) {
    ticket = lease.ticket;
    waited = lease.waited;
    loading = lease.loading;
    held = std::move(lease);
  }

  Headers marks() const {
    Headers marks;
    if (ticket != 0) {
      auto run = std::chrono::duration_cast<Duration>(Clock::now() - started);
      marks = {{"Server-Timing", server_timing_header(waited, loading, run)},
               {"X-Mgpu-Ticket", std::to_string(ticket)}};
    }
    if (retried || resent) marks.emplace_back("X-Mgpu-Retried", "1");
    return marks;
  }

  RequestHead outgoing() const {
    const RequestHead& in = caller.head;
    RequestHead out{.method = in.method, .target = route.target, .length = in.length};
    if (out.length) *out.length = *out.length - early.original_size() + early.size();
    out.headers = passed_on(in.headers, upgrades());
    std::string sent = http::joined_header(in.headers, "X-Forwarded-For");
    std::string forwarded = forwarded_for(sent, caller.address);
    std::erase_if(out.headers, [](const auto& line) { return is_own_header(line.first); });
    out.headers.emplace_back("X-Forwarded-For", std::move(forwarded));
    return out;
  }

  ResponseHead incoming(ResponseHead answer) {
    bool encoded = !header(answer.headers, "Content-Encoding").empty();
    if (!answer.length && !encoded) content_type = header(answer.headers, "Content-Type");
    answer.headers = passed_on(answer.headers, answer.status == 101);
    for (auto& mark : marks()) answer.headers.push_back(std::move(mark));
    return answer;
  }
};

Gateway::Gateway(Desk desk, Connect connect, config::LimitsConfig limits)
    : desk_(std::move(desk)),
      connect_(std::move(connect)),
      limits_(limits),
      budget_(std::make_shared<BodyBudget>(
          BodyBudget{.memory_left = static_cast<std::uint64_t>(limits.body_memory_total.count),
                     .disk_left = static_cast<std::uint64_t>(limits.spool_total.count)})) {}

Gateway::Gateway(engine::Engine& engine, http::Client& client)
    : Gateway(desk_of(engine), connect_through(client), engine.config().limits) {}

Awaitable<void> Gateway::serve(http::Exchange& exchange) {
  Caller caller = caller_of(exchange);
  co_await serve(caller);
}

bool Gateway::takes(std::string_view method, std::string_view target) const {
  return route_of(method, target).has_value();
}

// The life of a request.
Awaitable<void> Gateway::serve(Caller& caller) {
  Route route = *route_of(caller.head.method, caller.head.target);
  bool passes = route.purpose == Purpose::needs_turn || route.purpose == Purpose::to_consumer ||
                route.purpose == Purpose::ollama_show;
  if (!passes) co_return co_await answer_here(caller, std::move(route));

  Passage passage{.caller = caller,
                  .route = std::move(route),
                  .early = EarlyBody(limits_.body_memory, budget_),
                  .rate = UploadRate(limits_.min_upload_rate)};
  Result<Asking> asking = asking_of(caller.head.headers);
  if (!asking) co_return co_await tell(passage, asking.error());
  passage.asking = std::move(*asking);
  Result<void> named = co_await name_consumer(passage);
  if (!named) co_return co_await tell(passage, named.error());
  if (desk_.config_of(passage.target.consumer).service.type == config::ServiceType::none) {
    Error why = no_service(desk_.config_of(passage.target.consumer));
    co_return co_await tell(passage, std::move(why));
  }
  if (passage.route.purpose == Purpose::ollama_show) co_return co_await show(passage);

  // From here to give_back() the request holds a place in the line, then the consumer.
  ConsumerId consumer = passage.target.consumer;
  const config::ConsumerConfig& config = desk_.config_of(consumer);
  bool free = passage.route.purpose == Purpose::to_consumer &&
              is_free(config.service.free_paths, passage.route.target);
  passage.websocket = config::service_traits(config.service.type).websocket;
  if (!free) {
    Result<void> read = co_await fill_memory(passage);
    if (!read) co_return co_await tell(passage, read.error());
    Result<Held> held = co_await wait_in_line(passage);
    if (!held) co_return co_await tell(passage, held.error());
    passage.hold(std::move(*held));
  }
  Result<void> passed = co_await forward(passage);
  passage.upstream.reset();
  if (!passed && passage.may_go_again(passed.error())) passed = co_await once_more(passage);
  passage.upstream.reset();

  // The service has done its part: whoever is next need not wait for this client to take the last of its.
  if (passage.held) {
    auto strand = co_await asio::this_coro::executor;
    auto rest = give_back(std::move(*passage.held), consumer);
    passage.held.reset();
    asio::co_spawn(strand, std::move(rest), asio::detached);
  }
  if (!passed) co_return co_await tell(passage, passed.error());
  co_await caller.finish();
}

Error Gateway::unknown_consumer(const std::string& name) const {
  std::string known, last;
  for (const Listed& one : desk_.everybody()) {
    if (one.owner == last) continue;  // its names stand together
    last = one.owner;
    known += (known.empty() ? "" : ", ") + last;
  }
  return {ErrorCode::not_found,
          fmt::format("there is no consumer \"{}\"; known are {}", name, known.empty() ? "none" : known)};
}

// Sets passage.target, from the path or from the body; reads no more of the body than that takes.
Awaitable<Result<void>> Gateway::name_consumer(Passage& passage) {
  std::optional<ConsumerId> within;
  if (passage.route.purpose == Purpose::to_consumer) {
    within = desk_.consumer_named(passage.route.argument);
    if (!within) co_return std::unexpected(unknown_consumer(passage.route.argument));
    Result<engine::Target> only = desk_.resolve_within(*within, "");
    passage.target = only.value_or(engine::Target{.consumer = *within});
    bool free = is_free(desk_.config_of(*within).service.free_paths, passage.route.target);
    if (only || free) co_return Result<void>{};
    if (passage.caller.head.length == 0) co_return std::unexpected(only.error());
  }
  ModelFinder finder(passage.route.purpose == Purpose::ollama_show);
  Result<void> found = co_await find_model(passage, finder);
  if (!found) co_return found;
  Result<engine::Target> target =
      within ? desk_.resolve_within(*within, finder.name()) : desk_.resolve(finder.name());
  if (!target) co_return std::unexpected(target.error());
  passage.target = *target;
  passage.asked = finder.name();

  std::vector<std::string> configured;
  for (const auto& [name, footprint] : desk_.config_of(target->consumer).ai_models)
    configured.push_back(name);
  auto own = name_for_service(finder.name(), desk_.ai_model_of(*target), configured);
  if (own) passage.early.replace(finder.where(), finder.written(*own));
  co_return Result<void>{};
}

Awaitable<Result<void>> Gateway::find_model(Passage& passage, ModelFinder& finder) {
  Search search = Search::still_looking;
  while (search == Search::still_looking) {
    Result<std::string> piece = co_await read_early(passage);
    if (!piece) co_return std::unexpected(piece.error());
    search = piece->empty() ? finder.end() : finder.feed(*piece);
  }
  if (search == Search::invalid) co_return fail(ErrorCode::invalid_request, finder.reason());
  if (search == Search::absent) co_return std::unexpected(no_model_named());
  co_return Result<void>{};
}

// The next piece of the body, while the request has no turn yet, and keeps it.
Awaitable<Result<std::string>> Gateway::read_early(Passage& passage) {
  Result<std::string> piece = co_await passage.caller.read();
  if (!piece) co_return piece;
  passage.body_over = piece->empty();
  Result<void> kept = passage.take(*piece, limits_.max_body);
  if (kept) kept = passage.early.append(*piece);
  if (!kept) co_return std::unexpected(kept.error());
  co_return piece;
}

// A request asks for its turn once its body is here, or as much of it as memory may hold: a client that sends
// slowly, or nothing more, keeps nobody waiting but itself.
Awaitable<Result<void>> Gateway::fill_memory(Passage& passage) {
  passage.body_over |= passage.caller.head.length == 0;
  const auto limit = static_cast<std::uint64_t>(limits_.body_memory.count);
  while (!passage.body_over && passage.early.original_size() < limit) {
    Result<std::string> piece = co_await read_early(passage);
    if (!piece) co_return std::unexpected(piece.error());
  }
  co_return Result<void>{};
}

// A client that goes away while it waits takes its ticket with it.
Awaitable<Result<Held>> Gateway::wait_in_line(Passage& passage) {
  Caller& caller = passage.caller;
  Asking asking = passage.asking;  // it may have to ask once more
  asking.who = fmt::format("{} {} from {}", caller.head.method, path_of(caller.head.target), caller.address);
  auto turn = desk_.acquire(passage.target, std::move(asking));
  auto gone = caller.gone();
  auto either = std::move(turn) || std::move(gone);
  auto first = co_await std::move(either);
  if (first.index() == 1) co_return fail(ErrorCode::cancelled, "the client went away while it waited");
  Result<Held> held = std::move(std::get<0>(first));
  passage.removed = !held;
  co_return held;
}

// Its service ran out of memory, and said so or died of it. With more room made, the same request is sent
// once more. A lease that ended with its service can't be held again: then it is a new place in the line.
Awaitable<Result<void>> Gateway::once_more(Passage& passage) {
  const bool lease_over = passage.ended.has_value();
  passage.retried = true;
  passage.failure.reset();
  passage.ended.reset();
  passage.early.rewind();
  desk_.note_retry();
  if (lease_over) {
    passage.held.reset();
    Result<Held> held = co_await wait_in_line(passage);
    if (!held) co_return std::unexpected(held.error());
    passage.hold(std::move(*held));
  } else {
    passage.held->on_ended(nullptr);
    auto turn = passage.held->again();
    auto gone = passage.caller.gone();
    auto either = std::move(turn) || std::move(gone);
    auto first = co_await std::move(either);
    passage.removed = first.index() == 0;
    if (first.index() == 1) co_return fail(ErrorCode::cancelled, "the client went away while it waited");
    Result<Held> held = std::move(std::get<0>(first));
    if (!held) co_return std::unexpected(held.error());
    passage.hold(std::move(*held));
  }
  co_return co_await forward(passage);
}

Awaitable<Result<void>> Gateway::forward(Passage& passage) {
  ConsumerId consumer = passage.target.consumer;
  passage.started = Clock::now();

  // The work can be stopped from outside: its service died, or it took too long. Both may come late, when the
  // passage is gone.
  auto strand = co_await asio::this_coro::executor;
  asio::steady_timer news(strand, kNewsLimit);
  auto stop = std::make_shared<std::function<void(Error)>>([&passage, &news](Error why) {
    passage.removed = true;
    if (!passage.ended) passage.ended = std::move(why);
    if (passage.upstream) passage.upstream->abort();
    news.cancel();
  });
  std::weak_ptr<std::function<void(Error)>> stop_if_alive = stop;
  asio::steady_timer run_limit(strand);
  if (passage.held) {
    passage.held->on_ended([stop_if_alive](const Error& why) {
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

  auto endpoint = desk_.endpoint(consumer);
  if (!endpoint) {
    std::string why = desk_.config_of(consumer).name + " is not up: its service has no port yet";
    desk_.suspect(consumer, why);
    co_return fail(ErrorCode::service_down, std::move(why));
  }
  RequestHead head = passage.outgoing();
  Result<Upstream> upstream = co_await connect_(*endpoint, std::move(head));
  if (!upstream) {
    desk_.suspect(consumer, upstream.error().detail);
    co_return std::unexpected(passage.ended.value_or(upstream.error()));
  }
  if (passage.ended) co_return std::unexpected(*passage.ended);
  passage.upstream = std::move(*upstream);

  // Whichever ends first ends the others, and all have ended before anything else touches either connection.
  auto body = send_body(passage);
  auto answer = bring_answer(passage);
  auto gone = passage.caller.gone();
  auto either = std::move(body) || std::move(answer) || std::move(gone);
  auto first = co_await std::move(either);
  const bool answered = first.index() == 1;
  if (answered && !passage.failure) co_return Result<void>{};  // its connection may be used again
  passage.upstream->abort();
  if (!answered) co_return fail(ErrorCode::cancelled, "the client went away");
  // The end of a connection is seen before the end of the process behind it, which says why.
  if (!passage.ended && passage.held && passage.failure->code == ErrorCode::service_down) {
    news.expires_after(kNewsLimit);
    co_await news.async_wait(asio::as_tuple(asio::use_awaitable));
  }
  if (passage.ended) co_return std::unexpected(*passage.ended);
  if (!passage.head_sent && passage.failure->code == ErrorCode::service_down)
    desk_.suspect(consumer, passage.failure->detail);
  co_return std::unexpected(*passage.failure);
}

// Ends only when the client is gone; whoever brings the answer ends it otherwise.
Awaitable<void> Gateway::send_body(Passage& passage) {
  auto pump = pump_body(passage);
  bool others_wait = passage.held && !passage.body_over && limits_.min_upload_rate > Bytes{};
  if (!others_wait) co_return co_await std::move(pump);
  auto watch = watch_upload_rate(passage);
  auto either = std::move(pump) || std::move(watch);
  co_await std::move(either);
}

Awaitable<void> Gateway::pump_body(Passage& passage) {
  Upstream upstream = *passage.upstream;
  asio::steady_timer for_ever(co_await asio::this_coro::executor, Clock::time_point::max());
  bool from_early = true;
  while (true) {
    Result<std::string> piece = std::string{};
    if (from_early) {
      piece = passage.early.take(kPiece);
      from_early = piece && !piece->empty();
    }
    if (piece && piece->empty() && !passage.body_over) {
      passage.reading_since = Clock::now();
      piece = co_await passage.caller.read();
      if (!piece && piece.error().code == ErrorCode::cancelled) co_return;
      if (piece) piece = passage.receive(std::move(*piece), limits_);
    }
    if (!piece) {
      passage.give_up(piece.error());
      co_await for_ever.async_wait(asio::use_awaitable);
    }
    if (piece->empty()) break;
    Result<void> sent = co_await upstream.send(std::move(*piece));
    if (!sent) co_await for_ever.async_wait(asio::use_awaitable);  // it may have answered before it hung up
  }
  Result<void> over = co_await upstream.end_body();
  passage.body_sent = over.has_value();
  co_await for_ever.async_wait(asio::use_awaitable);
}

// Never ends by itself. A client that sends nothing more is noticed here, one that drips when a piece comes.
Awaitable<void> Gateway::watch_upload_rate(Passage& passage) {
  asio::steady_timer pause(co_await asio::this_coro::executor);
  while (!passage.body_over) {
    pause.expires_after(passage.rate.patience());
    co_await pause.async_wait(asio::use_awaitable);
    if (!passage.reading_since) continue;
    const bool keeps_up = passage.count_waiting(0);
    passage.reading_since = Clock::now();
    if (!keeps_up) {
      passage.give_up(too_slow(limits_.min_upload_rate));
      break;
    }
  }
  pause.expires_at(Clock::time_point::max());
  co_await pause.async_wait(asio::use_awaitable);
}

Awaitable<void> Gateway::bring_answer(Passage& passage) {
  Upstream upstream = *passage.upstream;
  Caller& caller = passage.caller;
  Result<ResponseHead> head = co_await upstream.answer();
  passage.resent |= upstream.resent();
  if (!head) co_return passage.fail_with(head.error());
  Result<std::string> held_back = co_await judge(passage, *head);
  if (!held_back) co_return passage.fail_with(held_back.error());
  bool switches = head->status == 101;
  if (switches && !passage.upgrades())
    co_return passage.fail_with(
        {ErrorCode::service_down, "the service switched protocols, and nobody had asked for it"});
  // A head with a length goes out with the first of its body, and not before that is here: a service that
  // breaks off between the two is an error that can still be told.
  const bool body_follows =
      head->length.value_or(0) > 0 && held_back->empty() && caller.head.method != "HEAD";
  if (body_follows && !switches) {
    held_back = co_await upstream.read();
    if (!held_back) co_return passage.fail_with(held_back.error());
  }
  ResponseHead to_client = passage.incoming(std::move(*head));
  Result<void> begun = co_await caller.begin(std::move(to_client));
  passage.head_sent = true;
  if (!begun) co_return passage.fail_with(begun.error());
  if (switches) {
    auto both_ways = tunnel(passage);
    co_return co_await std::move(both_ways);
  }
  if (passage.body_sent) passage.early.clear();  // nothing is sent once more after this
  Result<void> copied{};
  if (!held_back->empty()) copied = co_await caller.write(std::move(*held_back));
  if (copied) copied = co_await copy(upstream.read, caller.write);
  if (!copied) passage.fail_with(copied.error());
}

// Ends when the service has said all. A client that has said all may still listen.
Awaitable<void> Gateway::tunnel(Passage& passage) {
  Upstream upstream = *passage.upstream;
  Caller& caller = passage.caller;
  auto to_service = [](Caller& from, const Upstream& to) -> Awaitable<void> {
    auto copying = copy(from.read, to.send);
    Result<void> copied = co_await std::move(copying);
    if (!copied) co_return;
    to.shutdown_send();
    asio::steady_timer for_ever(co_await asio::this_coro::executor, Clock::time_point::max());
    co_await for_ever.async_wait(asio::use_awaitable);
  };
  auto out = copy(upstream.read, caller.write);
  auto in = to_service(caller, upstream);
  auto either = std::move(out) || std::move(in);
  auto first = co_await std::move(either);
  if (first.index() == 1)
    passage.fail_with({ErrorCode::service_down, "the tunnel broke"});
  else if (!std::get<0>(first))
    passage.fail_with(std::get<0>(first).error());
}

// What was read of an answer in order to see whether it says that memory ran out; nothing of it went to the
// client yet. Error: out_of_memory (it does), or reading failed.
Awaitable<Result<std::string>> Gateway::judge(Passage& passage, const ResponseHead& head) {
  std::string body;
  if (!passage.held || !may_mean_no_memory(head)) co_return body;
  Upstream upstream = *passage.upstream;
  while (body.size() < kJudged) {
    Result<std::string> piece = co_await upstream.read();
    if (!piece) co_return std::unexpected(piece.error());
    if (piece->empty()) break;
    body += *piece;
  }
  const config::ConsumerConfig& config = desk_.config_of(passage.target.consumer);
  if (!service::says_out_of_memory(config.service.type, head.status, body)) co_return body;
  co_return fail(ErrorCode::out_of_memory, fmt::format("{} answered {}: {}", config.name, head.status,
                                                       std::string_view(body).substr(0, kToldOfIt)));
}

// The answer is complete, but some applications answer first and compute then.
Awaitable<void> Gateway::give_back(Held held, ConsumerId consumer) {
  auto ended = std::make_shared<bool>(false);
  held.on_ended([ended](const Error&) { *ended = true; });
  asio::steady_timer pause(co_await asio::this_coro::executor);
  Clock::time_point until = Clock::now() + limits_.run_limit;
  while (!*ended && Clock::now() < until) {
    bool busy = co_await desk_.still_busy(consumer);
    if (!busy) break;
    pause.expires_after(kBusyPause);
    co_await pause.async_wait(asio::use_awaitable);
  }
}

Awaitable<void> Gateway::answer_here(Caller& caller, Route route) {
  std::vector<Listed> listed = desk_.everybody();
  std::string body;
  int status = 200;
  Headers headers;
  switch (route.purpose) {
    case Purpose::list_models:
      body = models_body(listed, unix_seconds());
      break;
    case Purpose::ollama_tags:
      body = tags_body(listed, now_rfc3339());
      break;
    case Purpose::ollama_ps:
      body = ps_body(listed, now_rfc3339());
      break;
    case Purpose::ollama_version:
      body = R"({"version":"0.12.0"})";
      break;  // what its clients compare with
    case Purpose::one_model: {
      auto one = std::ranges::find(listed, route.argument, &Listed::id);
      if (one != listed.end()) {
        body = model_body(*one, unix_seconds());
        break;
      }
      Result<engine::Target> target = desk_.resolve(route.argument);
      if (target) {
        body = model_body({.id = route.argument, .owner = desk_.config_of(target->consumer).name},
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
      std::string why =
          fmt::format("{} takes {}, not {}", path_of(route.target), route.argument, caller.head.method);
      body = error_body(route.protocol, {ErrorCode::invalid_request, why});
      break;
    }
  }
  co_await answer_with(caller, status, std::move(body), std::move(headers));
}

// Ollama's clients ask it before they chat; it must neither load nor wait.
Awaitable<void> Gateway::show(Passage& passage) {
  ConsumerId consumer = passage.target.consumer;
  const config::ConsumerConfig& config = desk_.config_of(consumer);
  if (config::service_traits(config.service.type).answers_ollama_show && desk_.endpoint(consumer)) {
    Result<void> passed = co_await forward(passage);
    if (passed) co_return co_await passage.caller.finish();
    if (passage.head_sent || !passage.early_complete()) co_return co_await tell(passage, passed.error());
  }
  std::string body = show_body({.id = passage.asked, .owner = config.name}, now_rfc3339());
  co_await answer_with(passage.caller, 200, std::move(body));
}

Awaitable<void> Gateway::tell(Passage& passage, Error error) {
  Caller& caller = passage.caller;
  if (error.code == ErrorCode::cancelled && !passage.removed) co_return caller.break_off();
  if (passage.head_sent) {
    std::string last = error_in_stream(passage.content_type, passage.route.protocol, error);
    if (!last.empty()) co_await caller.write(std::move(last));
    co_return caller.break_off();
  }
  Headers headers = passage.marks();
  if (auto advice = retry_after_header(error)) headers.emplace_back("Retry-After", *std::move(advice));
  std::string body = error_body(passage.route.protocol, error);
  co_await answer_with(caller, http_status(error.code), std::move(body), std::move(headers));
}

}  // namespace mgpu::gateway
