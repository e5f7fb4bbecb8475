// For tests: an io_context that runs until a condition holds or the test has waited too long.
#pragma once

#include <chrono>
#include <exception>
#include <functional>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

namespace mgpu {

// False: the condition did not hold within `limit`.
[[nodiscard]] inline bool run_until(boost::asio::io_context& io, const std::function<bool()>& condition,
                                    std::chrono::milliseconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    io.restart();
    io.run_one_for(std::chrono::milliseconds(5));
  }
  return true;
}

class EventLoopTest : public testing::Test {
 protected:
  static constexpr std::chrono::seconds kTimeout{20};

  bool run_until(const std::function<bool()>& condition) { return mgpu::run_until(io_, condition, kTimeout); }

  // Throws, so that the test fails, where the work is not done within kTimeout.
  template <class T>
  T await_result(boost::asio::awaitable<T> work) {
    std::optional<T> result;
    boost::asio::co_spawn(io_, std::move(work),
                          [&](std::exception_ptr, T value) { result = std::move(value); });
    EXPECT_TRUE(run_until([&] { return result.has_value(); }));
    return std::move(result).value();
  }

  boost::asio::io_context io_;
};

}  // namespace mgpu
