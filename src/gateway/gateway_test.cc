#include "gateway/gateway.h"

#include <deque>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

namespace asio = boost::asio;

// Waits until the test cancels the timer; a test that forgets runs into its end with the story unfinished.
Awaitable<void> wait_until_cancelled(asio::steady_timer& timer) {
  boost::system::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await timer.async_wait(token);
}

// One consumer "chat" that serves the AI model "gemma", one client, one service; the test writes what each
// says, and reads what each was told.
struct GatewayHarness {
  asio::io_context io;

  // The client.
  Caller caller;
  std::deque<std::string> request_pieces;
  asio::steady_timer client_disconnects{io, asio::steady_timer::time_point::max()};
  ResponseHead response_head;
  std::string response_body;
  bool finished = false, broken_off = false;

  // The service.
  bool service_reachable = true, service_responds = true, breaks_in_body = false;
  bool service_hangs = false;
  int out_of_memory_responses = 0;  // so many answers say it, each after the whole body
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
  std::function<void(const Error&)> notify_lease_ended;
  std::string suspect_reason;
  config::LimitsConfig limits;

  explicit GatewayHarness(std::string method, std::string target, std::string request_body = "") {
    caller.head = {.method = std::move(method), .target = std::move(target), .length = request_body.size()};
    caller.head.headers = {{"Host", "us"}, {"Connection", "x-hop"}, {"X-Hop", "1"}, {"Authorization", "key"}};
    caller.address = "10.0.0.9";
    for (char c : request_body) request_pieces.push_back({c});
    caller.read = [this]() -> Awaitable<Result<std::string>> {
      if (request_pieces.empty()) co_return std::string{};
      std::string piece = request_pieces.front();
      request_pieces.pop_front();
      co_return piece;
    };
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
    return {.resolve = [this](std::string_view name) { return resolve(name); },
            .resolve_within = [this](ConsumerId, std::string_view name) { return resolve(name); },
            .find_consumer = [](std::string_view name) -> std::optional<ConsumerId> {
              return name == "chat" ? std::optional(ConsumerId{0}) : std::nullopt;
            },
            .config_of = [this](ConsumerId) -> const config::ConsumerConfig& { return config; },
            .ai_model_of = [this](engine::Target) { return ai_model; },
            .endpoint = [](ConsumerId) { return std::optional(http::Endpoint{.port = 1}); },
            .acquire =
                [this](engine::Target, QueueOptions options) {
                  requested_options = std::move(options);
                  return acquire();
                },
            .is_busy = [this](ConsumerId) -> Awaitable<bool> { co_return busy_polls-- > 0; },
            .report_suspect = [this](ConsumerId, std::string why) { suspect_reason = std::move(why); },
            .count_retry = [this] { ++retries; },
            .list_models =
                [] {
                  return std::vector<ListedModel>{{"chat", "chat", kGiB, true},
                                                  {"gemma", "chat", kGiB, true}};
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

  // Serves the request to its end; `cache_tag` happens once the story waits for something.
  void serve(std::function<void()> then = [] {}) { serve_for(std::chrono::seconds(5), std::move(then)); }
  void serve_for(std::chrono::seconds limit, std::function<void()> then = [] {}) {
    Gateway gateway(engine_api(), connector(), limits);
    bool done = false;
    auto serving = gateway.serve(caller);
    asio::co_spawn(io, std::move(serving), [&done](std::exception_ptr failed) {
      EXPECT_FALSE(failed);
      done = true;
    });
    io.poll();
    then();
    io.restart();
    io.run_for(limit);
    EXPECT_TRUE(done);
    EXPECT_EQ(leases_held, 0);
    EXPECT_EQ(waiting, 0);
  }
};

const std::string kChatPath = "/v1/chat/completions";

TEST(Gateway, TakesHeadersAboutTheLineForItself) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.caller.head.headers.emplace_back("X-Mgpu-Priority", "batch");
  harness.caller.head.headers.emplace_back("x-mgpu-user", "ada");
  harness.serve();
  EXPECT_EQ(harness.requested_options.priority, Priority::batch);
  EXPECT_EQ(harness.requested_options.user, "ada");
  EXPECT_EQ(harness.requested_options.requested_by, "POST /v1/chat/completions from 10.0.0.9");
  EXPECT_EQ(harness.forwarded_head.headers,
            (Headers{{"Authorization", "key"}, {"X-Forwarded-For", "10.0.0.9"}}));
}

TEST(Gateway, RefusesAnUrgencyThatItDoesNotKnow) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.caller.head.headers.emplace_back("X-Mgpu-Priority", "urgent");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 400);
  EXPECT_NE(harness.response_body.find("X-Mgpu-Priority: \\\"urgent\\\" is not one of realtime"),
            std::string::npos)
      << harness.response_body;
}

TEST(Gateway, CarriesARequestThroughTheLineAndItsAnswerBack) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma","messages":[]})");
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma","messages":[]})");
  EXPECT_EQ(harness.forwarded_head.target, kChatPath);
  EXPECT_EQ(harness.forwarded_head.length, 31U);
  EXPECT_EQ(harness.forwarded_head.headers,
            (Headers{{"Authorization", "key"}, {"X-Forwarded-For", "10.0.0.9"}}));
  EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(harness.finished);
  EXPECT_FALSE(harness.broken_off);
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "7");
  EXPECT_TRUE(header(harness.response_head.headers, "Server-Timing")
                  .starts_with("queue;dur=1.0, load;dur=1.0, run;dur="));
}

const std::string kChatBody = R"({"model":"gemma","n":1})";

TEST(OutOfMemory, IsTriedOnceMoreUnderTheSameNumber) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.out_of_memory_responses = 1;
  harness.serve();
  EXPECT_EQ(harness.out_of_memory_bodies, std::vector{kChatBody});
  EXPECT_EQ(harness.forwarded_body, kChatBody) << "the same again";
  EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n") << "and the client sees only the second answer";
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Retried"), "1");
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "7");
  EXPECT_EQ(harness.reacquisitions, 1);
  EXPECT_EQ(harness.leases_given, 1);
  EXPECT_EQ(harness.retries, 1);
}

TEST(OutOfMemory, TwiceIsAnErrorInTheCallersProtocol) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.out_of_memory_responses = 2;
  harness.serve();
  EXPECT_EQ(harness.out_of_memory_bodies.size(), 2U);
  EXPECT_EQ(harness.response_head.status, 503);
  EXPECT_NE(harness.response_body.find(R"("code":"out_of_memory")"), std::string::npos)
      << harness.response_body;
  EXPECT_NE(harness.response_body.find("CUDA out of memory"), std::string::npos)
      << "with what the service said";
}

TEST(OutOfMemory, IsNotTriedAgainWhereTheBodyIsGone) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.limits.body_memory = Bytes{20};  // the AI model is named before that
  harness.out_of_memory_responses = 1;
  harness.serve();
  EXPECT_EQ(harness.out_of_memory_bodies.size(), 1U);
  EXPECT_EQ(harness.reacquisitions, 0);
  EXPECT_EQ(harness.response_head.status, 503);
}

TEST(OutOfMemory, OfAServiceThatDiedOfItTakesANewPlaceInTheLine) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.out_of_memory_responses = 1;
  harness.dies_of_out_of_memory = true;
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, kChatBody);
  EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(harness.leases_given, 2);
  EXPECT_EQ(harness.reacquisitions, 0) << "the first lease ended with the service";
}

TEST(OutOfMemory, IsNotReadIntoOtherErrors) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.service_response = {.status = 500, .headers = {{"Content-Type", "text/plain"}}, .length = 8};
  harness.response_pieces = {"no", " idea."};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 500);
  EXPECT_EQ(harness.response_body, "no idea.");
  GatewayHarness blamed("POST", kChatPath, kChatBody);
  blamed.service_response = {.status = 422, .headers = {{"Content-Type", "text/plain"}}, .length = 13};
  blamed.response_pieces = {"out of memory"};
  blamed.serve();
  EXPECT_EQ(blamed.response_head.status, 422) << "what a client did wrong may repeat its words";
  EXPECT_EQ(blamed.response_body, "out of memory");
}

TEST(OutOfMemory, HoldsBackNoMoreThanItJudges) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.service_response = {.status = 500, .headers = {{"Content-Type", "text/plain"}}};
  harness.response_pieces.assign(40, std::string(4096, 'x'));
  harness.response_pieces.emplace_back("out of memory");  // far behind what is judged
  harness.serve();
  EXPECT_EQ(harness.response_body.size(), 40U * 4096 + 13);
}

TEST(Gateway, WritesTheServicesOwnNameIntoTheBody) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"chat/gemma","n":1})");
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma","n":1})");
  EXPECT_EQ(harness.forwarded_head.length, harness.forwarded_body.size());
}

TEST(Gateway, SaysWhatIsWrongInTheCallersProtocol) {
  GatewayHarness none("POST", "/api/chat", "{}");
  none.serve();
  EXPECT_EQ(none.response_head.status, 400);
  EXPECT_TRUE(none.response_body.starts_with(R"({"error":"the request names no AI model)"))
      << none.response_body;
  GatewayHarness unknown("POST", kChatPath, R"({"model":"gpt-9"})");
  unknown.serve();
  EXPECT_EQ(unknown.response_head.status, 404);
  EXPECT_NE(unknown.response_body.find(R"("code":"not_found")"), std::string::npos);
  GatewayHarness nobody("GET", "/c/nobody/x");
  nobody.serve();
  EXPECT_NE(nobody.response_body.find("known are chat"), std::string::npos);
  GatewayHarness method("GET", kChatPath);
  method.serve();
  EXPECT_NE(method.response_body.find("takes POST, not GET"), std::string::npos);
  EXPECT_EQ(method.response_head.status, 405);
  EXPECT_EQ(header(method.response_head.headers, "Allow"), "POST");
}

TEST(Gateway, RefusesAtOnceForAConsumerWithoutAService) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"chat"})");
  harness.config.service.type = config::ServiceType::none;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 501);
  EXPECT_NE(harness.response_body.find("mgpu run --consumer chat"), std::string::npos)
      << harness.response_body;
  EXPECT_EQ(harness.leases_given, 0);
}

TEST(Gateway, RefusesABodyOverItsLimit) {
  GatewayHarness early("POST", kChatPath, R"({"messages":"0123456789","model":"gemma"})");
  early.limits.max_body = Bytes{20};
  early.serve();
  EXPECT_EQ(early.response_head.status, 413);
  GatewayHarness late("POST", kChatPath, R"({"model":"gemma","messages":"0123456789"})");
  late.limits.max_body = Bytes{25};
  late.limits.body_memory = Bytes{18};
  late.service_hangs = true;
  late.serve();
  EXPECT_EQ(late.response_head.status, 413);
  EXPECT_TRUE(late.aborted);
  EXPECT_EQ(late.suspect_reason, "");
}

TEST(Gateway, TellsARefusalWithAdvice) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.refusal =
      Error{.code = ErrorCode::queue_full, .detail = "1000 wait already", .retry_after = Duration{6'500'000}};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 429);
  EXPECT_EQ(header(harness.response_head.headers, "Retry-After"), "7");
}

TEST(Gateway, LeavesTheLineWithItsClient) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.never_granted = true;
  harness.serve([&] {
    EXPECT_EQ(harness.waiting, 1);
    harness.client_disconnects.cancel();
  });
  EXPECT_TRUE(harness.broken_off);
  EXPECT_EQ(harness.leases_given, 0);
}

TEST(Gateway, ClosesTheServicesSideWhenTheClientLeaves) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_hangs = true;
  harness.serve([&] { harness.client_disconnects.cancel(); });
  EXPECT_TRUE(harness.aborted);
  EXPECT_TRUE(harness.broken_off);
  EXPECT_EQ(harness.suspect_reason, "");
}

TEST(Gateway, SuspectsAServiceThatCannotBeReachedOrHangsUp) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_reachable = false;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_EQ(harness.suspect_reason, "connection refused");
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "7");
  GatewayHarness silent("POST", kChatPath, R"({"model":"gemma"})");
  silent.service_responds = false;
  silent.serve();
  EXPECT_EQ(silent.response_head.status, 502);
  EXPECT_EQ(silent.suspect_reason, "it hung up");
}

TEST(Gateway, EndsABrokenStreamWithAnError) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.breaks_in_body = true;
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 200);
  EXPECT_TRUE(harness.response_body.starts_with(
      "data: 1\n\ndata: 2\n\ndata: {\"error\":{\"message\":\"it broke off\""))
      << harness.response_body;
  EXPECT_TRUE(harness.broken_off);
  EXPECT_FALSE(harness.finished);
}

TEST(Gateway, StopsTheWorkWhenItsLeaseEnds) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_hangs = true;
  harness.serve(
      [&] { harness.notify_lease_ended({ErrorCode::service_down, "the process died: exit code 1"}); });
  EXPECT_TRUE(harness.aborted);
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_NE(harness.response_body.find("exit code 1"), std::string::npos);
}

TEST(Gateway, HoldsTheLeaseWhileTheApplicationStillComputes) {
  GatewayHarness harness("POST", "/c/chat/prompt", "{}");
  harness.busy_polls = 1;
  harness.serve([&] {
    EXPECT_TRUE(harness.finished);
    EXPECT_EQ(harness.leases_held, 1);
  });
}

TEST(Gateway, TakesNoTurnOnFreePaths) {
  GatewayHarness harness("GET", "/c/chat/history/1?x=1");
  harness.config.service.free_paths = {"/history/*"};
  harness.serve();
  EXPECT_EQ(harness.forwarded_head.target, "/history/1?x=1");
  EXPECT_EQ(harness.leases_given, 0);
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "");
}

TEST(Gateway, PassesAnUpgradeOn) {
  GatewayHarness harness("GET", "/c/chat/ws");
  harness.caller.head.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  harness.service_response = {.status = 101,
                              .headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}}};
  harness.serve();
  EXPECT_EQ(header(harness.forwarded_head.headers, "Upgrade"), "websocket");
  EXPECT_EQ(header(harness.forwarded_head.headers, "Connection"), "Upgrade");
  EXPECT_EQ(harness.response_head.status, 101);
  EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
}

// `curl --http2` and Java's HttpClient ask for h2c in passing, and want their answer.
TEST(Gateway, DropsAnUpgradeThatIsNobodysBusiness) {
  for (const std::string protocol : {"h2c", "websocket", "TLS/1.0"}) {
    GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
    harness.caller.head.headers = {
        {"Upgrade", protocol}, {"Connection", "Upgrade, HTTP2-Settings"}, {"HTTP2-Settings", "x"}};
    harness.serve();
    EXPECT_EQ(header(harness.forwarded_head.headers, "Upgrade"), "") << protocol;
    EXPECT_EQ(header(harness.forwarded_head.headers, "HTTP2-Settings"), "");
    EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma"})");
    EXPECT_EQ(harness.response_body, "data: 1\n\ndata: 2\n\n");
  }
  GatewayHarness ollama("GET", "/c/chat/ws");
  ollama.config.service.type = config::ServiceType::ollama;
  ollama.caller.head.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  ollama.serve();
  EXPECT_EQ(header(ollama.forwarded_head.headers, "Upgrade"), "") << "it has no WebSockets";
}

TEST(Gateway, A101ThatNobodyAskedForIsAnError) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.service_response = {.status = 101, .headers = {{"Upgrade", "h2c"}}};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 502);
  EXPECT_TRUE(harness.aborted);
}

// A client that sends slowly must not keep the others waiting.
TEST(Gateway, AsksForATurnOnlyOnceTheBodyIsHere) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  asio::steady_timer rest_comes(harness.io, asio::steady_timer::time_point::max());
  bool held_back = true;
  harness.caller.read = [&, read = harness.caller.read]() -> Awaitable<Result<std::string>> {
    if (harness.request_pieces.size() == 1 && std::exchange(held_back, false))
      co_await wait_until_cancelled(rest_comes);
    auto reading = read();
    co_return co_await std::move(reading);
  };
  harness.serve([&] {
    EXPECT_EQ(harness.leases_given, 0);
    rest_comes.cancel();
  });
  EXPECT_EQ(harness.leases_given, 1);
  EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma"})");
}

TEST(Gateway, AnUploadThatDripsLosesItsTurn) {
  GatewayHarness harness("POST", kChatPath,
                         R"({"model":"gemma","much":"........................................"})");
  harness.limits.body_memory = Bytes{20};
  harness.service_hangs = true;
  harness.caller.read = [&, read = harness.caller.read]() -> Awaitable<Result<std::string>> {
    if (harness.leases_given > 0) {
      asio::steady_timer drip(harness.io, std::chrono::milliseconds(900));
      co_await wait_until_cancelled(drip);
    }
    auto reading = read();
    co_return co_await std::move(reading);
  };
  harness.serve_for(std::chrono::seconds(9));
  EXPECT_EQ(harness.response_head.status, 408);
  EXPECT_NE(harness.response_body.find("limits.min_upload_rate"), std::string::npos) << harness.response_body;
  EXPECT_TRUE(harness.aborted);
  EXPECT_EQ(harness.suspect_reason, "");
}

TEST(Gateway, AnUploadThatStopsLosesItsTurn) {
  GatewayHarness harness("POST", kChatPath,
                         R"({"model":"gemma","much":"........................................"})");
  harness.limits.body_memory = Bytes{20};
  harness.service_hangs = true;
  asio::steady_timer never(harness.io, asio::steady_timer::time_point::max());
  harness.caller.read = [&, read = harness.caller.read]() -> Awaitable<Result<std::string>> {
    if (harness.leases_given > 0) co_await wait_until_cancelled(never);
    auto reading = read();
    co_return co_await std::move(reading);
  };
  harness.serve_for(std::chrono::seconds(9));
  EXPECT_EQ(harness.response_head.status, 408);
}

TEST(OutOfMemory, AsksTheSecondTimeForTheSameUser) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.caller.head.headers.emplace_back("X-Mgpu-User", "ada");
  harness.caller.head.headers.emplace_back("X-Mgpu-Priority", "batch");
  harness.out_of_memory_responses = 1;
  harness.dies_of_out_of_memory = true;
  harness.serve();
  EXPECT_EQ(harness.leases_given, 2);
  EXPECT_EQ(harness.requested_options.user, "ada");
  EXPECT_EQ(harness.requested_options.priority, Priority::batch);
}

TEST(Gateway, TheNextInLineNeedNotWaitForTheLastBytesToBeTaken) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  int leases_at_finish = -1;
  harness.caller.finish = [&]() -> Awaitable<void> {
    asio::steady_timer soon(harness.io, std::chrono::milliseconds(20));
    co_await wait_until_cancelled(soon);
    leases_at_finish = harness.leases_held;
  };
  harness.serve();
  EXPECT_EQ(leases_at_finish, 0);
}

TEST(Gateway, TheUrlsPathStandsBeforeTheRequests) {
  http::RequestHead received;
  asio::io_context io;
  auto service =
      http::Server::start(io, {.listen = {.host = "::1"}}, [&](http::Exchange& exchange) -> Awaitable<void> {
        received = exchange.head();
        http::Headers none;
        std::string nothing;
        co_await http::send_response(exchange, 200, std::move(none), std::move(nothing));
      });
  ASSERT_TRUE(service) << service.error().detail;
  http::Client client(io.get_executor());
  const std::uint16_t port = (*service)->port();
  auto send_request = [](http::Client& through, std::uint16_t where) -> Awaitable<void> {
    Connector connect = make_connector(through);
    http::Endpoint endpoint{.host = "::1", .port = where, .path = "/base"};
    RequestHead head{.target = "/x?y"};
    auto upstream = co_await connect(std::move(endpoint), std::move(head));
    co_await upstream->end_body();
    co_await upstream->read_response_head();
  };
  bool done = false;
  asio::co_spawn(io, send_request(client, port), [&done](std::exception_ptr) { done = true; });
  while (!done && io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(received.target, "/base/x?y");
  EXPECT_EQ(header(received.headers, "Host"), "[::1]:" + std::to_string(port));
}

TEST(Gateway, ListsEveryNameWithoutATurn) {
  GatewayHarness harness("GET", "/v1/models");
  harness.serve();
  EXPECT_NE(harness.response_body.find(R"("id":"gemma")"), std::string::npos);
  EXPECT_EQ(harness.leases_given, 0);
  GatewayHarness one("GET", "/v1/models/nothing");
  one.serve();
  EXPECT_EQ(one.response_head.status, 404);
}

// Through real sockets: requests one after another reach the service on one connection.
TEST(Gateway, UsesAServicesConnectionAgain) {
  GatewayHarness harness("POST", kChatPath);
  std::set<std::uint16_t> seen_from;
  auto service = http::Server::start(harness.io, {}, [&](http::Exchange& exchange) -> Awaitable<void> {
    seen_from.insert(exchange.peer_port());
    auto received = co_await http::read_body(exchange, kMiB);
    http::Headers plain;
    std::string echoed = received.value_or("");
    co_await http::send_response(exchange, 200, std::move(plain), std::move(echoed));
  });
  ASSERT_TRUE(service);
  EngineApi engine_api = harness.engine_api();
  engine_api.endpoint = [&](ConsumerId) { return std::optional((*service)->endpoint()); };
  http::Client to_service(harness.io.get_executor()), to_us(harness.io.get_executor());
  Gateway gateway(std::move(engine_api), make_connector(to_service), harness.limits);
  auto front =
      http::Server::start(harness.io, {}, [&](http::Exchange& exchange) { return gateway.serve(exchange); });
  ASSERT_TRUE(front);
  int answered = 0;
  auto send_requests = [](http::Client& client, std::uint16_t port, int& succeeded) -> Awaitable<void> {
    for (const std::string body :
         {R"({"model":"gemma"})", R"({"model":"gemma","n":2})", R"({"model":"gemma"})"}) {
      http::Endpoint where{.host = "127.0.0.1", .port = port};
      RequestHead head{.method = "POST", .target = kChatPath, .headers = {{"Host", "us"}}};
      std::string request_body = body;
      const Duration limit{5'000'000};
      auto got = co_await http::fetch(client, std::move(where), std::move(head), std::move(request_body),
                                      limit, kMiB);
      succeeded += got && got->head.status == 200 && got->body == body ? 1 : 0;
    }
  };
  bool done = false;
  auto requests = send_requests(to_us, (*front)->port(), answered);
  asio::co_spawn(harness.io, std::move(requests), [&done](std::exception_ptr failed) {
    EXPECT_FALSE(failed);
    done = true;
  });
  while (!done && harness.io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(seen_from.size(), 1U);
}

}  // namespace
}  // namespace mgpu::gateway
