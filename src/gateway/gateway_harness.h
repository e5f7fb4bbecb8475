// For tests of the gateway: engine, client and service as one struct that a test configures and inspects.
#pragma once

#include <chrono>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include "gateway/authorize.h"
#include "gateway/edit_request.h"
#include "gateway/gateway.h"
#include "gateway/parse_request.h"
#include "gateway/resolve_target.h"

namespace mgpu::gateway {

namespace asio = boost::asio;

// Waits until the test cancels the timer. Otherwise the test fails at its time limit.
inline Awaitable<void> wait_until_cancelled(asio::steady_timer& timer) {
  boost::system::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await timer.async_wait(token);
}

// One consumer "chat" that serves the AI model "gemma", one client, one service: the test sets what each
// sends, and checks what each received.
struct GatewayHarness {
  asio::io_context io;

  // The client.
  Caller caller;
  std::deque<std::string> request_pieces;
  asio::steady_timer client_disconnects{io, asio::steady_timer::time_point::max()};
  ResponseHead response_head;
  std::string response_body;
  bool finished = false, broken_off = false, body_limit_lifted = false;

  // The service.
  bool service_reachable = true, service_responds = true, breaks_in_body = false;
  bool service_hangs = false;
  int out_of_memory_responses = 0;  // this many responses report it, each after the whole body
  bool dies_of_out_of_memory = false;
  bool body_ended = false;
  std::vector<std::string> out_of_memory_bodies;
  asio::steady_timer body_sent{io, asio::steady_timer::time_point::max()};
  ResponseHead service_response{
      .status = 200, .headers = {{"Content-Type", "text/event-stream"}}, .length = std::nullopt};
  std::deque<std::string> error_pieces;
  std::deque<std::string> response_pieces{"data: 1\n\n", "data: 2\n\n"};
  asio::steady_timer service_aborted{io, asio::steady_timer::time_point::max()};
  RequestHead forwarded_head;
  std::string forwarded_body;
  bool aborted = false;

  // The engine.
  config::ConsumerConfig config{.name = "chat", .service = {.type = config::ServiceType::generic}};
  std::string ai_model = "gemma";
  std::optional<Error> refusal;
  QueueOptions requested_options;
  bool never_granted = false;
  int busy_polls = 0;
  int leases_held = 0, leases_given = 0, waiting = 0;
  int reacquisitions = 0, retries = 0;
  bool is_warm = false;
  Result<void> service_up{};
  bool never_unloaded = false;
  std::vector<engine::UnloadWait> unload_waits;
  std::vector<Duration> keep_alives;
  int listings = 0;
  std::function<void(const Error&)> notify_lease_ended;
  std::string suspect_reason;
  config::LimitsConfig limits;
  std::vector<std::string> origins;

  explicit GatewayHarness(std::string method, std::string target, std::string request_body = "") {
    caller.head = {.method = std::move(method), .target = std::move(target), .length = request_body.size()};
    caller.head.headers = {{"Host", "us"}, {"Connection", "x-hop"}, {"X-Hop", "1"}, {"Authorization", "key"}};
    caller.principal.address = "10.0.0.9";
    for (char c : request_body) request_pieces.push_back({c});
    caller.read = [this]() -> Awaitable<Result<std::string>> {
      if (request_pieces.empty()) co_return std::string{};
      std::string piece = request_pieces.front();
      request_pieces.pop_front();
      co_return piece;
    };
    caller.lift_body_limit = [this] { body_limit_lifted = true; };
    caller.send_head = [this](ResponseHead head) -> Awaitable<Result<void>> {
      response_head = std::move(head);
      co_return Result<void>{};
    };
    caller.write = [this](std::string piece) -> Awaitable<Result<void>> {
      response_body += piece;
      co_return Result<void>{};
    };
    caller.finish = [this]() -> Awaitable<void> {
      finished = true;
      co_return;
    };
    caller.abort = [this] { broken_off = true; };
    caller.wait_until_disconnected = [this]() -> Awaitable<void> {
      return wait_until_cancelled(client_disconnects);
    };
  }

  Result<engine::Target> resolve(std::string_view name) const {
    if (name == "chat" || name == "gemma" || name.empty() || name == "chat/gemma")
      return engine::Target{.consumer = {0}, .resident = ResidentId{0}};
    return fail(ErrorCode::not_found, "known are chat, gemma");
  }

  EngineApi engine_api() {
    return {
        .resolve = [this](std::string_view name) { return resolve(name); },
        .resolve_within = [this](ConsumerId, std::string_view name) { return resolve(name); },
        .find_consumer = [](std::string_view name) -> std::optional<ConsumerId> {
          return name == "chat" ? std::optional(ConsumerId{0}) : std::nullopt;
        },
        .config =
            [this] {
              return std::make_shared<const config::Config>(
                  config::Config{.origins = origins, .limits = limits});
            },
        .config_of = [this](ConsumerId) { return std::make_shared<const config::ConsumerConfig>(config); },
        .ai_model_of = [this](engine::Target) { return ai_model; },
        .endpoint = [](ConsumerId) { return std::optional(http::Endpoint{.port = 1}); },
        .acquire =
            [this](engine::Target, QueueOptions options) {
              requested_options = std::move(options);
              return acquire();
            },
        .is_busy = [this](ConsumerId) -> Awaitable<bool> { co_return busy_polls-- > 0; },
        .report_suspect = [this](ConsumerId, std::string why) { suspect_reason = std::move(why); },
        .is_warm = [this](engine::Target) { return is_warm; },
        .ensure_up = [this](ConsumerId) -> Awaitable<Result<void>> { co_return service_up; },
        .unload = [this](engine::Target, engine::UnloadWait wait) -> Awaitable<Result<bool>> {
          unload_waits.push_back(wait);
          asio::steady_timer never(io, asio::steady_timer::time_point::max());
          if (never_unloaded) co_await wait_until_cancelled(never);
          if (refusal) co_return std::unexpected(*refusal);
          co_return std::exchange(is_warm, false);
        },
        .set_keep_alive = [this](engine::Target, Duration time) { keep_alives.push_back(time); },
        .refresh_ai_models = [this](ConsumerId) -> Awaitable<void> {
          ++listings;
          co_return;
        },
        .refresh_all_ai_models = []() -> Awaitable<void> { co_return; },
        .count_retry = [this] { ++retries; },
        .list_models =
            [] {
              return std::vector<ListedModel>{{"chat", "chat", kGiB, true}, {"gemma", "chat", kGiB, true}};
            }};
  }

  Awaitable<Result<LeaseHandle>> acquire() {
    ++waiting;
    std::shared_ptr<void> waiting_guard(nullptr, [this](void*) { --waiting; });
    if (never_granted) {
      asio::steady_timer never(io, asio::steady_timer::time_point::max());
      co_await wait_until_cancelled(never);
      co_return fail(ErrorCode::cancelled, "the caller went away");
    }
    if (refusal) co_return std::unexpected(*refusal);
    ++leases_held, ++leases_given;
    std::shared_ptr<void> guard(nullptr, [this](void*) { --leases_held; });
    co_return make_lease_handle(std::move(guard));
  }

  LeaseHandle make_lease_handle(std::shared_ptr<void> guard) {
    return {.ticket = 7,
            .waited = Duration{2000},
            .loading = Duration{1000},
            .guard = guard,
            .on_ended = [this](auto listener) { notify_lease_ended = std::move(listener); },
            .reacquire = [this, guard] { return reacquire(guard); }};
  }

  Awaitable<Result<LeaseHandle>> reacquire(std::shared_ptr<void> guard) {
    ++reacquisitions;
    co_return make_lease_handle(std::move(guard));
  }

  Awaitable<Result<ResponseHead>> respond_out_of_memory() {
    if (!std::exchange(body_ended, false)) co_await wait_until_cancelled(body_sent);
    --out_of_memory_responses;
    out_of_memory_bodies.push_back(std::exchange(forwarded_body, {}));
    if (dies_of_out_of_memory) {
      notify_lease_ended(
          {ErrorCode::out_of_memory, "chat: its process was ended; it said: CUDA out of memory"});
      co_return fail(ErrorCode::service_down, "it broke off");
    }
    error_pieces = {R"({"error":"CUDA out)", R"( of memory"})", ""};
    co_return ResponseHead{.status = 500, .headers = {{"Content-Type", "application/json"}}, .length = 30};
  }

  Upstream make_upstream() {
    return {.send = [this](std::string piece) -> Awaitable<Result<void>> {
              forwarded_body += piece;
              co_return Result<void>{};
            },
            .end_body = [this]() -> Awaitable<Result<void>> {
              body_ended = true;
              body_sent.cancel();
              co_return Result<void>{};
            },
            .read_response_head = [this]() -> Awaitable<Result<ResponseHead>> {
              if (out_of_memory_responses > 0) {
                auto out_of_memory_head = respond_out_of_memory();
                co_return co_await std::move(out_of_memory_head);
              }
              if (service_hangs && !aborted) co_await wait_until_cancelled(service_aborted);
              if (!service_responds || service_hangs) co_return fail(ErrorCode::service_down, "it hung up");
              co_return service_response;
            },
            .read = [this]() -> Awaitable<Result<std::string>> {
              if (!error_pieces.empty()) {
                std::string piece = error_pieces.front();
                error_pieces.pop_front();
                co_return piece;
              }
              if (response_pieces.empty() && breaks_in_body)
                co_return fail(ErrorCode::service_down, "it broke off");
              if (response_pieces.empty()) co_return std::string{};
              std::string piece = response_pieces.front();
              response_pieces.pop_front();
              co_return piece;
            },
            .abort = [this] { aborted = true, service_aborted.cancel(); },
            .shutdown_send = [] {},
            .was_resent = [] { return false; }};
  }

  Connector connector() {
    return [this](http::Endpoint, RequestHead head) -> Awaitable<Result<Upstream>> {
      if (!service_reachable) co_return fail(ErrorCode::service_down, "connection refused");
      forwarded_head = std::move(head);
      co_return make_upstream();
    };
  }

  // Serves the request to its end; `then` is called once the gateway waits for something.
  void serve(std::function<void()> then = [] {}) { serve_for(std::chrono::seconds(5), std::move(then)); }
  void serve_for(std::chrono::seconds limit, std::function<void()> then = [] {}) {
    Gateway gateway(engine_api(), connector());
    run_for(limit, gateway.serve(caller), std::move(then));
    EXPECT_EQ(leases_held, 0);
    EXPECT_EQ(waiting, 0);
  }

  // The request as the first step receives it, for tests of single steps. REQUIRES: the test changes no
  // limits after the first call.
  RequestContext& request() {
    if (!request_) {
      context_ = {.engine_api = engine_api(),
                  .connect = connector(),
                  .body_budget = std::make_shared<BodyBudget>(
                      BodyBudget{.memory_left = 1'000'000, .disk_left = 1'000'000})};
      request_.emplace(context_, caller);
    }
    return *request_;
  }

  // The same, parsed, authorized, resolved and edited.
  RequestContext& edited_request() {
    RequestContext& prepared = request();
    Result<void> done = parse_request(prepared);
    if (done) done = authorize(prepared);
    if (done) done = run(resolve_target(prepared));
    if (done) done = edit_request(prepared);
    EXPECT_TRUE(done) << done.error().detail;
    return prepared;
  }

  // Runs one step to its end; `then` as in serve().
  Result<void> run(Awaitable<Result<void>> step, std::function<void()> then = [] {}) {
    Result<void> result = fail(ErrorCode::internal, "the step did not end");
    auto store = [](Awaitable<Result<void>> awaited, Result<void>& to) -> Awaitable<void> {
      to = co_await std::move(awaited);
    };
    run_for(std::chrono::seconds(5), store(std::move(step), result), std::move(then));
    return result;
  }

 private:
  void run_for(std::chrono::seconds limit, Awaitable<void> task, std::function<void()> then) {
    bool done = false;
    asio::co_spawn(io, std::move(task), [&done](std::exception_ptr failed) {
      EXPECT_FALSE(failed);
      done = true;
    });
    io.restart();
    io.poll();
    then();
    io.restart();
    io.run_for(limit);
    EXPECT_TRUE(done);
  }

  GatewayContext context_;
  std::optional<RequestContext> request_;
};

const std::string kChatPath = "/v1/chat/completions";
const std::string kChatBody = R"({"model":"gemma","n":1})";

}  // namespace mgpu::gateway
