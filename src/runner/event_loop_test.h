// For tests: a loop that runs until something has happened, and no longer than it should.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <utility>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "runner/runner.h"

namespace mgpu::runner {

class EventLoopTest : public testing::Test {
 protected:
  // Runs the loop until the condition holds; false after twenty seconds.
  bool run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      io_.restart();
      io_.run_one_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  template <class T>
  Result<T> await_result(boost::asio::awaitable<Result<T>> work) {
    std::optional<Result<T>> result;
    boost::asio::co_spawn(io_, std::move(work),
                          [&](std::exception_ptr, Result<T> r) { result = std::move(r); });
    EXPECT_TRUE(run_until([&] { return result.has_value(); }));
    if (!result) return fail(ErrorCode::internal, "still waiting");
    return *std::move(result);
  }
  // Hears of the end as exited_.
  RunOptions options() {
    return {.log_lines = 5, .on_exit = [this](const ExitStatus& status) { exit_status_ = status; }};
  }

  boost::asio::io_context io_;
  std::optional<ExitStatus> exit_status_;
};

}  // namespace mgpu::runner
