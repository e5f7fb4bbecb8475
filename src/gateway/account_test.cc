#include "gateway/account.h"

#include <chrono>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(Account, TellsNothingToAClientThatLeft) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  const Error left{ErrorCode::cancelled, "the client went away"};
  auto ended = [](RequestContext& request, Error why) -> Awaitable<Result<void>> {
    Result<void> result = std::unexpected(std::move(why));
    co_await account(request, std::move(result));
    co_return Result<void>{};
  };
  ASSERT_TRUE(harness.run(ended(harness.edited_request(), left)));
  EXPECT_TRUE(harness.broken_off);
  EXPECT_FALSE(harness.finished);
  EXPECT_EQ(harness.response_body, "");
}

TEST(Account, TellsTheClientOfATicketThatAnOperatorRemoved) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  harness.refusal = Error{ErrorCode::cancelled, "an operator removed it"};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 499);
  EXPECT_TRUE(harness.finished);
}

TEST(Account, HeadersSayOnlyWhatHappened) {
  GatewayHarness harness("POST", kChatPath, kChatBody);
  RequestContext& request = harness.request();
  EXPECT_EQ(account_headers(request), Headers{});
  request.resent = true;
  EXPECT_EQ(account_headers(request), (Headers{{"X-Mgpu-Retried", "1"}}));
}

TEST(Account, SaysWhatIsWrongInTheCallersProtocol) {
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

TEST(Account, TellsARefusalWithAdvice) {
  GatewayHarness harness("POST", kChatPath, R"({"model":"gemma"})");
  harness.refusal =
      Error{.code = ErrorCode::queue_full, .detail = "1000 wait already", .retry_after = Duration{6'500'000}};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 429);
  EXPECT_EQ(header(harness.response_head.headers, "Retry-After"), "7");
}

TEST(Account, EndsABrokenStreamWithAnError) {
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

TEST(Account, HoldsTheLeaseWhileTheApplicationStillComputes) {
  GatewayHarness harness("POST", "/c/chat/prompt", "{}");
  harness.busy_polls = 1;
  harness.serve([&] {
    EXPECT_TRUE(harness.finished);
    EXPECT_EQ(harness.leases_held, 1);
  });
}

TEST(Account, GivesTheTurnBackBeforeTheClientHasTakenTheLastBytes) {
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

}  // namespace
}  // namespace mgpu::gateway
