#include "engine/task_spawner.h"

#include <optional>
#include <stdexcept>

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

namespace asio = boost::asio;

asio::awaitable<Result<void>> succeed(bool& ran) {
  ran = true;
  co_return Result<void>{};
}

asio::awaitable<Result<void>> throw_something() {
  throw std::runtime_error("the library gave up");
  co_return Result<void>{};
}

struct SpawnerFixture {
  asio::io_context io;
  std::shared_ptr<int> kept = std::make_shared<int>(1);
  TaskSpawner tasks{io, [this] { return kept; }};
  int answers = 0;
  std::optional<Result<void>> answer;
  std::function<void(Result<void>)> on_done = [this](Result<void> result) {
    ++answers;
    answer = std::move(result);
  };
};

TEST(TaskSpawner, WorkNeverBeginsInline) {
  SpawnerFixture fixture;
  bool ran = false;
  fixture.tasks.spawn(succeed(ran), fixture.on_done);
  EXPECT_FALSE(ran);
  fixture.io.run();
  EXPECT_TRUE(ran);
  ASSERT_EQ(fixture.answers, 1);
  EXPECT_TRUE(*fixture.answer);
}

TEST(TaskSpawner, AnExceptionArrivesAsAnInternalError) {
  SpawnerFixture fixture;
  fixture.tasks.spawn(throw_something(), fixture.on_done);
  fixture.io.run();
  ASSERT_EQ(fixture.answers, 1);
  ASSERT_FALSE(*fixture.answer);
  EXPECT_EQ(fixture.answer->error().code, ErrorCode::internal);
  EXPECT_EQ(fixture.answer->error().detail, "the library gave up");
}

TEST(TaskSpawner, WhatWorkRefersToLivesUntilItIsOver) {
  SpawnerFixture fixture;
  bool ran = false;
  fixture.tasks.spawn(succeed(ran), fixture.on_done);
  EXPECT_EQ(fixture.kept.use_count(), 2);
  fixture.io.run();
  EXPECT_EQ(fixture.kept.use_count(), 1);
}

}  // namespace
}  // namespace mgpu::engine
