#include "engine/call_in_thread.h"

#include <future>
#include <memory>
#include <string>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

namespace asio = boost::asio;

asio::awaitable<void> call(std::function<std::string()> work, Duration limit,
                           std::optional<std::string>& to) {
  to = co_await call_in_thread(std::move(work), limit);
}

TEST(CallInThread, ReturnsTheResultOfAnotherThread) {
  asio::io_context io;
  std::optional<std::string> result;
  const auto strand = std::this_thread::get_id();
  const std::function<std::string()> work = [strand] {
    return std::this_thread::get_id() == strand ? "the same" : "another";
  };
  asio::co_spawn(io, call(work, std::chrono::seconds(10), result), asio::detached);
  io.run();
  EXPECT_EQ(result, "another");
}

// What hangs may end after everything else is gone.
TEST(CallInThread, GivesUpWhatHangs) {
  auto released = std::make_shared<std::promise<void>>();
  std::promise<void> ended;
  const std::function<std::string()> work = [go_on = released->get_future().share(), &ended] {
    go_on.wait();
    ended.set_value();
    return std::string("late");
  };
  {
    asio::io_context io;
    std::optional<std::string> result;
    asio::co_spawn(io, call(work, std::chrono::milliseconds(20), result), asio::detached);
    io.run();
    EXPECT_EQ(result, std::nullopt);
  }
  released->set_value();
  ended.get_future().wait();
}

TEST(CallInThread, MayBeAbandoned) {
  auto released = std::make_shared<std::promise<void>>();
  std::promise<void> ended;
  const std::function<std::string()> work = [go_on = released->get_future().share(), &ended] {
    go_on.wait();
    ended.set_value();
    return std::string("late");
  };
  {
    asio::io_context io;
    std::optional<std::string> result;
    asio::co_spawn(io, call(work, std::chrono::seconds(10), result), asio::detached);
    io.poll();
  }
  released->set_value();
  ended.get_future().wait();
}

}  // namespace
}  // namespace mgpu::engine
