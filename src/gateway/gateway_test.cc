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
Awaitable<void> until(asio::steady_timer& timer) {
  boost::system::error_code ignored;
  auto token = asio::redirect_error(asio::use_awaitable, ignored);
  co_await timer.async_wait(token);
}

// One consumer "chat" that serves the AI model "gemma", one client, one service; the test writes what each
// says, and reads what each was told.
struct World {
  asio::io_context io;

  // The client.
  Caller caller;
  std::deque<std::string> body;
  asio::steady_timer client_leaves{io, asio::steady_timer::time_point::max()};
  ResponseHead told_head;
  std::string told;
  bool finished = false, broken_off = false;

  // The service.
  bool reachable = true, answers = true, breaks_in_body = false;
  bool hangs = false;
  int out_of_memory = 0;  // so many answers say it, each after the whole body
  bool dies_of_it = false;
  bool body_ended = false;
  std::vector<std::string> asked_bodies;
  asio::steady_timer body_sent{io, asio::steady_timer::time_point::max()};
  ResponseHead answer{
      .status = 200, .headers = {{"Content-Type", "text/event-stream"}}, .length = std::nullopt};
  std::deque<std::string> error_pieces;
  std::deque<std::string> answer_pieces{"data: 1\n\n", "data: 2\n\n"};
  asio::steady_timer service_aborted{io, asio::steady_timer::time_point::max()};
  RequestHead asked_head;
  std::string asked_body;
  bool aborted = false;

  // The engine.
  config::ConsumerConfig config{.name = "chat", .service = {.type = config::ServiceType::generic}};
  std::string ai_model = "gemma";
  std::optional<Error> refusal;
  Asking asked_for;
  bool never_granted = false;
  int busy_polls = 0;
  int leases_held = 0, leases_given = 0, waiting = 0;
  int held_again = 0, retries = 0;
  std::function<void(const Error&)> lease_ends;
  std::string suspected;
  config::LimitsConfig limits;

  explicit World(std::string method, std::string target, std::string request_body = "") {
    caller.head = {.method = std::move(method), .target = std::move(target), .length = request_body.size()};
    caller.head.headers = {{"Host", "us"}, {"Connection", "x-hop"}, {"X-Hop", "1"}, {"Authorization", "key"}};
    caller.address = "10.0.0.9";
    for (char c : request_body) body.push_back({c});
    caller.read = [this]() -> Awaitable<Result<std::string>> {
      if (body.empty()) co_return std::string{};
      std::string piece = body.front();
      body.pop_front();
      co_return piece;
    };
    caller.begin = [this](ResponseHead head) -> Awaitable<Result<void>> {
      told_head = std::move(head);
      co_return Result<void>{};
    };
    caller.write = [this](std::string piece) -> Awaitable<Result<void>> {
      told += piece;
      co_return Result<void>{};
    };
    caller.finish = [this]() -> Awaitable<void> {
      finished = true;
      co_return;
    };
    caller.break_off = [this] { broken_off = true; };
    caller.gone = [this]() -> Awaitable<void> { return until(client_leaves); };
  }

  Result<engine::Target> known(std::string_view name) const {
    if (name == "chat" || name == "gemma" || name.empty() || name == "chat/gemma")
      return engine::Target{.consumer = {0}, .resident = ResidentId{0}};
    return fail(ErrorCode::not_found, "known are chat, gemma");
  }

  Desk desk() {
    return {
        .resolve = [this](std::string_view name) { return known(name); },
        .resolve_within = [this](ConsumerId, std::string_view name) { return known(name); },
        .consumer_named = [](std::string_view name) -> std::optional<ConsumerId> {
          return name == "chat" ? std::optional(ConsumerId{0}) : std::nullopt;
        },
        .config_of = [this](ConsumerId) -> const config::ConsumerConfig& { return config; },
        .ai_model_of = [this](engine::Target) { return ai_model; },
        .endpoint = [](ConsumerId) { return std::optional(engine::Endpoint{"127.0.0.1", 1}); },
        .acquire =
            [this](engine::Target, Asking asking) {
              asked_for = std::move(asking);
              return acquire();
            },
        .still_busy = [this](ConsumerId) -> Awaitable<bool> { co_return busy_polls-- > 0; },
        .suspect = [this](ConsumerId, std::string why) { suspected = std::move(why); },
        .note_retry = [this] { ++retries; },
        .everybody =
            [] { return std::vector<Listed>{{"chat", "chat", kGiB, true}, {"gemma", "chat", kGiB, true}}; }};
  }

  Awaitable<Result<Held>> acquire() {
    ++waiting;
    std::shared_ptr<void> place(nullptr, [this](void*) { --waiting; });
    if (never_granted) {
      asio::steady_timer never(io, asio::steady_timer::time_point::max());
      co_await until(never);
      co_return fail(ErrorCode::cancelled, "the caller went away");
    }
    if (refusal) co_return std::unexpected(*refusal);
    ++leases_held, ++leases_given;
    std::shared_ptr<void> holding(nullptr, [this](void*) { --leases_held; });
    co_return held(std::move(holding));
  }

  Held held(std::shared_ptr<void> holding) {
    return {.ticket = 7,
            .waited = Duration{2000},
            .loading = Duration{1000},
            .holding = holding,
            .on_ended = [this](auto listener) { lease_ends = std::move(listener); },
            .again = [this, holding] { return again(holding); }};
  }

  Awaitable<Result<Held>> again(std::shared_ptr<void> holding) {
    ++held_again;
    co_return held(std::move(holding));
  }

  Awaitable<Result<ResponseHead>> says_out_of_memory() {
    if (!std::exchange(body_ended, false)) co_await until(body_sent);
    --out_of_memory;
    asked_bodies.push_back(std::exchange(asked_body, {}));
    if (dies_of_it) {
      lease_ends({ErrorCode::out_of_memory, "chat: its process was ended; it said: CUDA out of memory"});
      co_return fail(ErrorCode::service_down, "it broke off");
    }
    error_pieces = {R"({"error":"CUDA out)", R"( of memory"})", ""};
    co_return ResponseHead{.status = 500, .headers = {{"Content-Type", "application/json"}}, .length = 30};
  }

  Upstream service() {
    return {.send = [this](std::string piece) -> Awaitable<Result<void>> {
              asked_body += piece;
              co_return Result<void>{};
            },
            .end_body = [this]() -> Awaitable<Result<void>> {
              body_ended = true;
              body_sent.cancel();
              co_return Result<void>{};
            },
            .answer = [this]() -> Awaitable<Result<ResponseHead>> {
              if (out_of_memory > 0) {
                auto said = says_out_of_memory();
                co_return co_await std::move(said);
              }
              if (hangs && !aborted) co_await until(service_aborted);
              if (!answers || hangs) co_return fail(ErrorCode::service_down, "it hung up");
              co_return answer;
            },
            .read = [this]() -> Awaitable<Result<std::string>> {
              if (!error_pieces.empty()) {
                std::string piece = error_pieces.front();
                error_pieces.pop_front();
                co_return piece;
              }
              if (answer_pieces.empty() && breaks_in_body)
                co_return fail(ErrorCode::service_down, "it broke off");
              if (answer_pieces.empty()) co_return std::string{};
              std::string piece = answer_pieces.front();
              answer_pieces.pop_front();
              co_return piece;
            },
            .abort = [this] { aborted = true, service_aborted.cancel(); },
            .shutdown_send = [] {},
            .resent = [] { return false; }};
  }

  Connect connect() {
    return [this](engine::Endpoint, RequestHead head) -> Awaitable<Result<Upstream>> {
      if (!reachable) co_return fail(ErrorCode::service_down, "connection refused");
      asked_head = std::move(head);
      co_return service();
    };
  }

  // Serves the request to its end; `cache_tag` happens once the story waits for something.
  void serve(std::function<void()> then = [] {}) { serve_for(std::chrono::seconds(5), std::move(then)); }
  void serve_for(std::chrono::seconds limit, std::function<void()> then = [] {}) {
    Gateway gateway(desk(), connect(), limits);
    bool done = false;
    auto story = gateway.serve(caller);
    asio::co_spawn(io, std::move(story), [&done](std::exception_ptr failed) {
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

const std::string kChat = "/v1/chat/completions";

TEST(Gateway, TakesHeadersAboutTheLineForItself) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.caller.head.headers.emplace_back("X-Mgpu-Priority", "batch");
  world.caller.head.headers.emplace_back("x-mgpu-user", "ada");
  world.serve();
  EXPECT_EQ(world.asked_for.priority, Priority::batch);
  EXPECT_EQ(world.asked_for.user, "ada");
  EXPECT_EQ(world.asked_for.who, "POST /v1/chat/completions from 10.0.0.9");
  EXPECT_EQ(world.asked_head.headers, (Headers{{"Authorization", "key"}, {"X-Forwarded-For", "10.0.0.9"}}));
}

TEST(Gateway, RefusesAnUrgencyThatItDoesNotKnow) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.caller.head.headers.emplace_back("X-Mgpu-Priority", "urgent");
  world.serve();
  EXPECT_EQ(world.told_head.status, 400);
  EXPECT_NE(world.told.find("X-Mgpu-Priority: \\\"urgent\\\" is not one of realtime"), std::string::npos)
      << world.told;
}

TEST(Gateway, CarriesARequestThroughTheLineAndItsAnswerBack) {
  World world("POST", kChat, R"({"model":"gemma","messages":[]})");
  world.serve();
  EXPECT_EQ(world.asked_body, R"({"model":"gemma","messages":[]})");
  EXPECT_EQ(world.asked_head.target, kChat);
  EXPECT_EQ(world.asked_head.length, 31U);
  EXPECT_EQ(world.asked_head.headers, (Headers{{"Authorization", "key"}, {"X-Forwarded-For", "10.0.0.9"}}));
  EXPECT_EQ(world.told, "data: 1\n\ndata: 2\n\n");
  EXPECT_TRUE(world.finished);
  EXPECT_FALSE(world.broken_off);
  EXPECT_EQ(header(world.told_head.headers, "X-Mgpu-Ticket"), "7");
  EXPECT_TRUE(
      header(world.told_head.headers, "Server-Timing").starts_with("queue;dur=1.0, load;dur=1.0, run;dur="));
}

const std::string kAsked = R"({"model":"gemma","n":1})";

TEST(OutOfMemory, IsTriedOnceMoreUnderTheSameNumber) {
  World world("POST", kChat, kAsked);
  world.out_of_memory = 1;
  world.serve();
  EXPECT_EQ(world.asked_bodies, std::vector{kAsked});
  EXPECT_EQ(world.asked_body, kAsked) << "the same again";
  EXPECT_EQ(world.told, "data: 1\n\ndata: 2\n\n") << "and the client sees only the second answer";
  EXPECT_EQ(header(world.told_head.headers, "X-Mgpu-Retried"), "1");
  EXPECT_EQ(header(world.told_head.headers, "X-Mgpu-Ticket"), "7");
  EXPECT_EQ(world.held_again, 1);
  EXPECT_EQ(world.leases_given, 1);
  EXPECT_EQ(world.retries, 1);
}

TEST(OutOfMemory, TwiceIsAnErrorInTheCallersProtocol) {
  World world("POST", kChat, kAsked);
  world.out_of_memory = 2;
  world.serve();
  EXPECT_EQ(world.asked_bodies.size(), 2U);
  EXPECT_EQ(world.told_head.status, 503);
  EXPECT_NE(world.told.find(R"("code":"out_of_memory")"), std::string::npos) << world.told;
  EXPECT_NE(world.told.find("CUDA out of memory"), std::string::npos) << "with what the service said";
}

TEST(OutOfMemory, IsNotTriedAgainWhereTheBodyIsGone) {
  World world("POST", kChat, kAsked);
  world.limits.body_memory = Bytes{20};  // the AI model is named before that
  world.out_of_memory = 1;
  world.serve();
  EXPECT_EQ(world.asked_bodies.size(), 1U);
  EXPECT_EQ(world.held_again, 0);
  EXPECT_EQ(world.told_head.status, 503);
}

TEST(OutOfMemory, OfAServiceThatDiedOfItTakesANewPlaceInTheLine) {
  World world("POST", kChat, kAsked);
  world.out_of_memory = 1;
  world.dies_of_it = true;
  world.serve();
  EXPECT_EQ(world.asked_body, kAsked);
  EXPECT_EQ(world.told, "data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(world.leases_given, 2);
  EXPECT_EQ(world.held_again, 0) << "the first lease ended with the service";
}

TEST(OutOfMemory, IsNotReadIntoOtherErrors) {
  World world("POST", kChat, kAsked);
  world.answer = {.status = 500, .headers = {{"Content-Type", "text/plain"}}, .length = 8};
  world.answer_pieces = {"no", " idea."};
  world.serve();
  EXPECT_EQ(world.told_head.status, 500);
  EXPECT_EQ(world.told, "no idea.");
  World blamed("POST", kChat, kAsked);
  blamed.answer = {.status = 422, .headers = {{"Content-Type", "text/plain"}}, .length = 13};
  blamed.answer_pieces = {"out of memory"};
  blamed.serve();
  EXPECT_EQ(blamed.told_head.status, 422) << "what a client did wrong may repeat its words";
  EXPECT_EQ(blamed.told, "out of memory");
}

TEST(OutOfMemory, HoldsBackNoMoreThanItJudges) {
  World world("POST", kChat, kAsked);
  world.answer = {.status = 500, .headers = {{"Content-Type", "text/plain"}}};
  world.answer_pieces.assign(40, std::string(4096, 'x'));
  world.answer_pieces.emplace_back("out of memory");  // far behind what is judged
  world.serve();
  EXPECT_EQ(world.told.size(), 40U * 4096 + 13);
}

TEST(Gateway, WritesTheServicesOwnNameIntoTheBody) {
  World world("POST", kChat, R"({"model":"chat/gemma","n":1})");
  world.serve();
  EXPECT_EQ(world.asked_body, R"({"model":"gemma","n":1})");
  EXPECT_EQ(world.asked_head.length, world.asked_body.size());
}

TEST(Gateway, SaysWhatIsWrongInTheCallersProtocol) {
  World none("POST", "/api/chat", "{}");
  none.serve();
  EXPECT_EQ(none.told_head.status, 400);
  EXPECT_TRUE(none.told.starts_with(R"({"error":"the request names no AI model)")) << none.told;
  World unknown("POST", kChat, R"({"model":"gpt-9"})");
  unknown.serve();
  EXPECT_EQ(unknown.told_head.status, 404);
  EXPECT_NE(unknown.told.find(R"("code":"not_found")"), std::string::npos);
  World nobody("GET", "/c/nobody/x");
  nobody.serve();
  EXPECT_NE(nobody.told.find("known are chat"), std::string::npos);
  World method("GET", kChat);
  method.serve();
  EXPECT_NE(method.told.find("takes POST, not GET"), std::string::npos);
  EXPECT_EQ(method.told_head.status, 405);
  EXPECT_EQ(header(method.told_head.headers, "Allow"), "POST");
}

TEST(Gateway, RefusesAtOnceForAConsumerWithoutAService) {
  World world("POST", kChat, R"({"model":"chat"})");
  world.config.service.type = config::ServiceType::none;
  world.serve();
  EXPECT_EQ(world.told_head.status, 501);
  EXPECT_NE(world.told.find("mgpu run --consumer chat"), std::string::npos) << world.told;
  EXPECT_EQ(world.leases_given, 0);
}

TEST(Gateway, RefusesABodyOverItsLimit) {
  World early("POST", kChat, R"({"messages":"0123456789","model":"gemma"})");
  early.limits.max_body = Bytes{20};
  early.serve();
  EXPECT_EQ(early.told_head.status, 413);
  World late("POST", kChat, R"({"model":"gemma","messages":"0123456789"})");
  late.limits.max_body = Bytes{25};
  late.limits.body_memory = Bytes{18};
  late.hangs = true;
  late.serve();
  EXPECT_EQ(late.told_head.status, 413);
  EXPECT_TRUE(late.aborted);
  EXPECT_EQ(late.suspected, "");
}

TEST(Gateway, TellsARefusalWithAdvice) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.refusal =
      Error{.code = ErrorCode::queue_full, .detail = "1000 wait already", .retry_after = Duration{6'500'000}};
  world.serve();
  EXPECT_EQ(world.told_head.status, 429);
  EXPECT_EQ(header(world.told_head.headers, "Retry-After"), "7");
}

TEST(Gateway, LeavesTheLineWithItsClient) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.never_granted = true;
  world.serve([&] {
    EXPECT_EQ(world.waiting, 1);
    world.client_leaves.cancel();
  });
  EXPECT_TRUE(world.broken_off);
  EXPECT_EQ(world.leases_given, 0);
}

TEST(Gateway, ClosesTheServicesSideWhenTheClientLeaves) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.hangs = true;
  world.serve([&] { world.client_leaves.cancel(); });
  EXPECT_TRUE(world.aborted);
  EXPECT_TRUE(world.broken_off);
  EXPECT_EQ(world.suspected, "");
}

TEST(Gateway, SuspectsAServiceThatCannotBeReachedOrHangsUp) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.reachable = false;
  world.serve();
  EXPECT_EQ(world.told_head.status, 502);
  EXPECT_EQ(world.suspected, "connection refused");
  EXPECT_EQ(header(world.told_head.headers, "X-Mgpu-Ticket"), "7");
  World silent("POST", kChat, R"({"model":"gemma"})");
  silent.answers = false;
  silent.serve();
  EXPECT_EQ(silent.told_head.status, 502);
  EXPECT_EQ(silent.suspected, "it hung up");
}

TEST(Gateway, EndsABrokenStreamWithAnError) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.breaks_in_body = true;
  world.serve();
  EXPECT_EQ(world.told_head.status, 200);
  EXPECT_TRUE(world.told.starts_with("data: 1\n\ndata: 2\n\ndata: {\"error\":{\"message\":\"it broke off\""))
      << world.told;
  EXPECT_TRUE(world.broken_off);
  EXPECT_FALSE(world.finished);
}

TEST(Gateway, StopsTheWorkWhenItsLeaseEnds) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.hangs = true;
  world.serve([&] { world.lease_ends({ErrorCode::service_down, "the process died: exit code 1"}); });
  EXPECT_TRUE(world.aborted);
  EXPECT_EQ(world.told_head.status, 502);
  EXPECT_NE(world.told.find("exit code 1"), std::string::npos);
}

TEST(Gateway, HoldsTheLeaseWhileTheApplicationStillComputes) {
  World world("POST", "/c/chat/prompt", "{}");
  world.busy_polls = 1;
  world.serve([&] {
    EXPECT_TRUE(world.finished);
    EXPECT_EQ(world.leases_held, 1);
  });
}

TEST(Gateway, TakesNoTurnOnFreePaths) {
  World world("GET", "/c/chat/history/1?x=1");
  world.config.service.free_paths = {"/history/*"};
  world.serve();
  EXPECT_EQ(world.asked_head.target, "/history/1?x=1");
  EXPECT_EQ(world.leases_given, 0);
  EXPECT_EQ(header(world.told_head.headers, "X-Mgpu-Ticket"), "");
}

TEST(Gateway, PassesAnUpgradeOn) {
  World world("GET", "/c/chat/ws");
  world.caller.head.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  world.answer = {.status = 101, .headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}}};
  world.serve();
  EXPECT_EQ(header(world.asked_head.headers, "Upgrade"), "websocket");
  EXPECT_EQ(header(world.asked_head.headers, "Connection"), "Upgrade");
  EXPECT_EQ(world.told_head.status, 101);
  EXPECT_EQ(world.told, "data: 1\n\ndata: 2\n\n");
}

// `curl --http2` and Java's HttpClient ask for h2c in passing, and want their answer.
TEST(Gateway, DropsAnUpgradeThatIsNobodysBusiness) {
  for (const std::string asked : {"h2c", "websocket", "TLS/1.0"}) {
    World world("POST", kChat, R"({"model":"gemma"})");
    world.caller.head.headers = {
        {"Upgrade", asked}, {"Connection", "Upgrade, HTTP2-Settings"}, {"HTTP2-Settings", "x"}};
    world.serve();
    EXPECT_EQ(header(world.asked_head.headers, "Upgrade"), "") << asked;
    EXPECT_EQ(header(world.asked_head.headers, "HTTP2-Settings"), "");
    EXPECT_EQ(world.asked_body, R"({"model":"gemma"})");
    EXPECT_EQ(world.told, "data: 1\n\ndata: 2\n\n");
  }
  World ollama("GET", "/c/chat/ws");
  ollama.config.service.type = config::ServiceType::ollama;
  ollama.caller.head.headers = {{"Upgrade", "websocket"}, {"Connection", "Upgrade"}};
  ollama.serve();
  EXPECT_EQ(header(ollama.asked_head.headers, "Upgrade"), "") << "it has no WebSockets";
}

TEST(Gateway, A101ThatNobodyAskedForIsAnError) {
  World world("POST", kChat, R"({"model":"gemma"})");
  world.answer = {.status = 101, .headers = {{"Upgrade", "h2c"}}};
  world.serve();
  EXPECT_EQ(world.told_head.status, 502);
  EXPECT_TRUE(world.aborted);
}

// A client that sends slowly must not keep the others waiting.
TEST(Gateway, AsksForATurnOnlyOnceTheBodyIsHere) {
  World world("POST", kChat, R"({"model":"gemma"})");
  asio::steady_timer rest_comes(world.io, asio::steady_timer::time_point::max());
  bool held_back = true;
  world.caller.read = [&, read = world.caller.read]() -> Awaitable<Result<std::string>> {
    if (world.body.size() == 1 && std::exchange(held_back, false)) co_await until(rest_comes);
    auto reading = read();
    co_return co_await std::move(reading);
  };
  world.serve([&] {
    EXPECT_EQ(world.leases_given, 0);
    rest_comes.cancel();
  });
  EXPECT_EQ(world.leases_given, 1);
  EXPECT_EQ(world.asked_body, R"({"model":"gemma"})");
}

TEST(Gateway, AnUploadThatDripsLosesItsTurn) {
  World world("POST", kChat, R"({"model":"gemma","much":"........................................"})");
  world.limits.body_memory = Bytes{20};
  world.hangs = true;
  world.caller.read = [&, read = world.caller.read]() -> Awaitable<Result<std::string>> {
    if (world.leases_given > 0) {
      asio::steady_timer drip(world.io, std::chrono::milliseconds(900));
      co_await until(drip);
    }
    auto reading = read();
    co_return co_await std::move(reading);
  };
  world.serve_for(std::chrono::seconds(9));
  EXPECT_EQ(world.told_head.status, 408);
  EXPECT_NE(world.told.find("limits.min_upload_rate"), std::string::npos) << world.told;
  EXPECT_TRUE(world.aborted);
  EXPECT_EQ(world.suspected, "");
}

TEST(Gateway, AnUploadThatStopsLosesItsTurn) {
  World world("POST", kChat, R"({"model":"gemma","much":"........................................"})");
  world.limits.body_memory = Bytes{20};
  world.hangs = true;
  asio::steady_timer never(world.io, asio::steady_timer::time_point::max());
  world.caller.read = [&, read = world.caller.read]() -> Awaitable<Result<std::string>> {
    if (world.leases_given > 0) co_await until(never);
    auto reading = read();
    co_return co_await std::move(reading);
  };
  world.serve_for(std::chrono::seconds(9));
  EXPECT_EQ(world.told_head.status, 408);
}

TEST(OutOfMemory, AsksTheSecondTimeForTheSameUser) {
  World world("POST", kChat, kAsked);
  world.caller.head.headers.emplace_back("X-Mgpu-User", "ada");
  world.caller.head.headers.emplace_back("X-Mgpu-Priority", "batch");
  world.out_of_memory = 1;
  world.dies_of_it = true;
  world.serve();
  EXPECT_EQ(world.leases_given, 2);
  EXPECT_EQ(world.asked_for.user, "ada");
  EXPECT_EQ(world.asked_for.priority, Priority::batch);
}

TEST(Gateway, TheNextInLineNeedNotWaitForTheLastBytesToBeTaken) {
  World world("POST", kChat, R"({"model":"gemma"})");
  int held_at_the_end = -1;
  world.caller.finish = [&]() -> Awaitable<void> {
    asio::steady_timer soon(world.io, std::chrono::milliseconds(20));
    co_await until(soon);
    held_at_the_end = world.leases_held;
  };
  world.serve();
  EXPECT_EQ(held_at_the_end, 0);
}

TEST(Gateway, TheUrlsPathStandsBeforeTheRequests) {
  http::RequestHead asked;
  asio::io_context io;
  auto service =
      http::Server::start(io, {.listen = "[::1]:0"}, [&](http::Exchange& exchange) -> Awaitable<void> {
        asked = exchange.head();
        http::Headers none;
        std::string nothing;
        co_await http::send_response(exchange, 200, std::move(none), std::move(nothing));
      });
  ASSERT_TRUE(service) << service.error().detail;
  http::Client client(io.get_executor());
  const std::uint16_t port = (*service)->port();
  auto asks = [](http::Client& through, std::uint16_t where) -> Awaitable<void> {
    Connect connect = connect_through(through);
    engine::Endpoint endpoint{"::1", where, "/base"};
    RequestHead head{.target = "/x?y"};
    auto upstream = co_await connect(std::move(endpoint), std::move(head));
    co_await upstream->end_body();
    co_await upstream->answer();
  };
  bool done = false;
  asio::co_spawn(io, asks(client, port), [&done](std::exception_ptr) { done = true; });
  while (!done && io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(asked.target, "/base/x?y");
  EXPECT_EQ(header(asked.headers, "Host"), "[::1]:" + std::to_string(port));
}

TEST(Gateway, ListsEveryNameWithoutATurn) {
  World world("GET", "/v1/models");
  world.serve();
  EXPECT_NE(world.told.find(R"("id":"gemma")"), std::string::npos);
  EXPECT_EQ(world.leases_given, 0);
  World one("GET", "/v1/models/nothing");
  one.serve();
  EXPECT_EQ(one.told_head.status, 404);
}

// Through real sockets: requests one after another reach the service on one connection.
TEST(Gateway, UsesAServicesConnectionAgain) {
  World world("POST", kChat);
  std::set<std::uint16_t> seen_from;
  auto service = http::Server::start(world.io, {}, [&](http::Exchange& exchange) -> Awaitable<void> {
    seen_from.insert(exchange.peer_port());
    auto asked = co_await http::read_body(exchange, kMiB);
    http::Headers plain;
    std::string echoed = asked.value_or("");
    co_await http::send_response(exchange, 200, std::move(plain), std::move(echoed));
  });
  ASSERT_TRUE(service);
  Desk desk = world.desk();
  desk.endpoint = [&](ConsumerId) {
    return std::optional(engine::Endpoint{"127.0.0.1", (*service)->port()});
  };
  http::Client to_service(world.io.get_executor()), to_us(world.io.get_executor());
  Gateway gateway(std::move(desk), connect_through(to_service), world.limits);
  auto front =
      http::Server::start(world.io, {}, [&](http::Exchange& exchange) { return gateway.serve(exchange); });
  ASSERT_TRUE(front);
  int answered = 0;
  auto asks = [](http::Client& client, std::uint16_t port, int& good) -> Awaitable<void> {
    for (const std::string body :
         {R"({"model":"gemma"})", R"({"model":"gemma","n":2})", R"({"model":"gemma"})"}) {
      http::HostPort where{"127.0.0.1", port};
      RequestHead head{.method = "POST", .target = kChat, .headers = {{"Host", "us"}}};
      std::string asked = body;
      const Duration limit{5'000'000};
      auto got =
          co_await http::fetch(client, std::move(where), std::move(head), std::move(asked), limit, kMiB);
      good += got && got->head.status == 200 && got->body == body ? 1 : 0;
    }
  };
  bool done = false;
  auto story = asks(to_us, (*front)->port(), answered);
  asio::co_spawn(world.io, std::move(story), [&done](std::exception_ptr failed) {
    EXPECT_FALSE(failed);
    done = true;
  });
  while (!done && world.io.run_one_for(std::chrono::seconds(10)) > 0) {
  }
  EXPECT_EQ(answered, 3);
  EXPECT_EQ(seen_from.size(), 1U);
}

}  // namespace
}  // namespace mgpu::gateway
