#include "gateway/queue_for_turn.h"

#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(QueueForTurn, TakesTheLease) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  RequestContext& request = harness.edited_request();
  ASSERT_TRUE(harness.run(queue_for_turn(request)));
  EXPECT_TRUE(request.body.is_complete());
  EXPECT_EQ(request.turn.ticket, 7U);
  EXPECT_EQ(request.turn.waited, Duration{2000});
  EXPECT_EQ(harness.leases_held, 1);
}

TEST(QueueForTurn, TellsACancelledTicketFromAClientThatLeft) {
  GatewayHarness cancelled("POST", kChatPath, kChatBody);
  cancelled.refusal = Error{ErrorCode::cancelled, "an operator removed it"};
  EXPECT_FALSE(cancelled.run(queue_for_turn(cancelled.edited_request())));
  EXPECT_TRUE(cancelled.request().ended_by_engine);
  GatewayHarness left("POST", kChatPath, kChatBody);
  left.never_granted = true;
  RequestContext& request = left.edited_request();
  EXPECT_FALSE(left.run(queue_for_turn(request), [&] { left.client_disconnects.cancel(); }));
  EXPECT_FALSE(request.ended_by_engine);
}

TEST(CanRetry, OnlyOnceAndOnlyWhatTheClientHasNotSeen) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  RequestContext& request = harness.edited_request();
  const Error no_memory{ErrorCode::out_of_memory, "CUDA out of memory"};
  EXPECT_FALSE(can_retry(request, no_memory)) << "it never had the turn";
  ASSERT_TRUE(harness.run(queue_for_turn(request)));
  EXPECT_TRUE(can_retry(request, no_memory));
  EXPECT_FALSE(can_retry(request, {ErrorCode::service_down, "it hung up"}));
  request.attempt.head_sent = true;
  EXPECT_FALSE(can_retry(request, no_memory));
  request.attempt.head_sent = false;
  request.turn.retried = true;
  EXPECT_FALSE(can_retry(request, no_memory));
}

// A slow client must not delay other requests.
TEST(QueueForTurn, AsksForATurnOnlyOnceTheBodyIsHere) {
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

TEST(QueueForTurn, LeavesTheLineWithItsClient) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.never_granted = true;
  harness.serve([&] {
    EXPECT_EQ(harness.waiting, 1);
    harness.client_disconnects.cancel();
  });
  EXPECT_TRUE(harness.broken_off);
  EXPECT_EQ(harness.leases_given, 0);
}

TEST(QueueForTurn, TakesNoTurnOnFreePaths) {
  GatewayHarness harness("GET", "/c/chat/history/1?x=1");
  harness.config.service.free_paths = {"/history/*"};
  harness.serve();
  EXPECT_EQ(harness.forwarded_head.target, "/history/1?x=1");
  EXPECT_EQ(harness.leases_given, 0);
  EXPECT_EQ(header(harness.response_head.headers, "X-Mgpu-Ticket"), "");
}

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
  harness.limits.body_memory = Bytes{20};  // the AI model's name is within that
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

TEST(OutOfMemory, AsksTheSecondTimeForTheSameUser) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.caller.principal.user = "ada";
  harness.caller.head.headers.emplace_back("X-Mgpu-Priority", "batch");
  harness.out_of_memory_responses = 1;
  harness.dies_of_out_of_memory = true;
  harness.serve();
  EXPECT_EQ(harness.leases_given, 2);
  EXPECT_EQ(harness.requested_options.principal.user, "ada");
  EXPECT_EQ(harness.requested_options.priority, Priority::batch);
}

}  // namespace
}  // namespace mgpu::gateway
