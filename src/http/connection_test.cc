// Two ends of a connection over loopback.
#include "http/connection.h"

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <gtest/gtest.h>

#include "http/awaitable.h"
#include "http/listener.h"
#include "http/server.h"

namespace mgpu::http {
namespace {

constexpr Duration kLimit{5'000'000};

class ConnectionTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(listener_.open({.host = "127.0.0.1"}));
    run([this]() -> asio::awaitable<void> {
      auto connected = co_await Connection::connect(io_.get_executor(), endpoint(), kLimit);
      auto accepted = co_await listener_.accept();
      if (connected) near_.emplace(std::move(*connected));
      if (accepted) far_.emplace(std::move(accepted->connection));
    });
    ASSERT_TRUE(near_ && far_);
  }

  Endpoint endpoint() const { return {.host = "127.0.0.1", .port = listener_.port()}; }

  void run(std::function<asio::awaitable<void>()> scenario) {
    bool done = false;
    asio::co_spawn(io_, scenario(), [&done](std::exception_ptr error) {
      EXPECT_FALSE(error);
      done = true;
    });
    io_.restart();
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!done && std::chrono::steady_clock::now() < deadline)
      io_.run_one_for(std::chrono::milliseconds(100));
    ASSERT_TRUE(done);
  }

  static asio::awaitable<void> send_text(Connection& connection, std::string text) {
    std::string nothing;
    const auto sent = co_await connection.send(std::move(text), std::move(nothing), "!");
    EXPECT_TRUE(sent);
  }

  asio::io_context io_{1};
  Listener listener_{io_};
  std::optional<Connection> near_, far_;
};

TEST_F(ConnectionTest, EndsItsSendingSideAndGoesOnReceiving) {
  run([this]() -> asio::awaitable<void> {
    std::string question = "question", answer = "answer";
    co_await send_text(*near_, std::move(question));
    near_->shutdown_send();
    EXPECT_EQ(co_await far_->receive(), Result<std::size_t>(9U));
    EXPECT_EQ(far_->received(), "question!");
    far_->consume(9);
    EXPECT_EQ(co_await far_->receive(), Result<std::size_t>(0U));
    co_await send_text(*far_, std::move(answer));
    EXPECT_EQ(co_await near_->receive(), Result<std::size_t>(7U));
    EXPECT_EQ(near_->received(), "answer!");
    EXPECT_EQ(near_->bytes_sent(), 9U);
  });
}

TEST_F(ConnectionTest, ResetsSoThatThePeerSeesAnError) {
  run([this]() -> asio::awaitable<void> {
    far_->reset();
    const auto received = co_await near_->receive();
    EXPECT_FALSE(received);
    if (!received) EXPECT_EQ(received.error(), (Error{ErrorCode::cancelled, "Connection reset by peer"}));
    EXPECT_FALSE(far_->is_open());
  });
}

TEST_F(ConnectionTest, IsReusableUntilSomethingComes) {
  run([this]() -> asio::awaitable<void> {
    EXPECT_TRUE(near_->is_reusable());
    std::string text = "unexpected";
    co_await send_text(*far_, std::move(text));
    EXPECT_FALSE(near_->is_reusable());
    co_await near_->receive();
    EXPECT_FALSE(near_->is_reusable());
    near_->consume(near_->received().size());
    EXPECT_TRUE(near_->is_reusable());
    far_->close();
    EXPECT_FALSE(near_->is_reusable());
  });
}

TEST_F(ConnectionTest, SeesThePeerHangUpBehindUnreadBytes) {
  run([this]() -> asio::awaitable<void> {
    EXPECT_TRUE(near_->try_send("unread"));
    near_->close();
    std::function<bool()> probe = [] { return true; };
    auto disconnected = far_->wait_until_disconnected(std::move(probe));
    EXPECT_TRUE(co_await std::move(disconnected));
    EXPECT_EQ(co_await far_->receive(), Result<std::size_t>(6U));
  });
}

TEST_F(ConnectionTest, KnowsThatThePeerRefusedWhatWasSent) {
  run([this]() -> asio::awaitable<void> {
    near_->reset();
    while (!far_->is_refused_by_peer()) {
      std::string text = "lost", nothing;
      if (!co_await far_->send(std::move(text), std::move(nothing), {})) break;
    }
    EXPECT_TRUE(far_->is_refused_by_peer());
  });
}

TEST_F(ConnectionTest, LocalhostIsBothLoopbackAddresses) {
  Listener only_v6(io_);
  if (!only_v6.open({.host = "::1"})) GTEST_SKIP() << "no IPv6";
  run([&, this]() -> asio::awaitable<void> {
    Endpoint localhost{.host = "localhost", .port = only_v6.port()};
    const auto connected = co_await Connection::connect(io_.get_executor(), std::move(localhost), kLimit);
    EXPECT_TRUE(connected);
  });
}

TEST_F(ConnectionTest, AnErrorNamesEachAddressThatWasTried) {
  const std::uint16_t port = listener_.port();
  listener_.close();
  run([&, this]() -> asio::awaitable<void> {
    Endpoint localhost{.host = "localhost", .port = port};
    const auto connected = co_await Connection::connect(io_.get_executor(), std::move(localhost), kLimit);
    EXPECT_FALSE(connected);
    if (connected) co_return;
    const std::string& why = connected.error().detail;
    EXPECT_TRUE(why.starts_with("can't reach localhost:" + std::to_string(port) + ": 127.0.0.1: ")) << why;
    EXPECT_NE(why.find(", [::1]: "), std::string::npos) << why;
  });
  run([&, this]() -> asio::awaitable<void> {
    Endpoint address{.host = "127.0.0.1", .port = port};
    const auto connected = co_await Connection::connect(io_.get_executor(), std::move(address), kLimit);
    EXPECT_EQ(connected.error().detail,
              "can't reach 127.0.0.1:" + std::to_string(port) + ": Connection refused");
  });
}

TEST_F(ConnectionTest, AServerOfLocalhostListensOnBothWithOnePort) {
  const auto server = Server::start(io_, {.listen = {.host = "localhost"}}, {});
  ASSERT_TRUE(server) << server.error().detail;
  for (const char* host : {"127.0.0.1", "::1"})
    run([&, this]() -> asio::awaitable<void> {
      Endpoint address{.host = host, .port = (*server)->port()};
      const auto connected = co_await Connection::connect(io_.get_executor(), std::move(address), kLimit);
      const bool has_no_v6 = !Listener(io_).open({.host = "::1"});
      EXPECT_TRUE(connected || has_no_v6) << host;
    });
}

TEST_F(ConnectionTest, RefusesHttpsUntilThereIsTls) {
  run([this]() -> asio::awaitable<void> {
    Endpoint secure{.scheme = Scheme::https, .host = "h", .port = 443};
    const auto connected = co_await Connection::connect(io_.get_executor(), std::move(secure), kLimit);
    EXPECT_FALSE(connected);
    if (!connected)
      EXPECT_EQ(connected.error(), (Error{ErrorCode::not_supported,
                                          "can't connect to https://h:443: there is no TLS yet, only http"}));
  });
  const auto server = Server::listen(io_, {.listen = {.scheme = Scheme::https, .host = "127.0.0.1"}}, {});
  ASSERT_FALSE(server);
  EXPECT_EQ(server.error().code, ErrorCode::not_supported);
}

}  // namespace
}  // namespace mgpu::http
