#include "engine/task_spawner.h"

#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

asio::awaitable<Result<void>> catch_exceptions(asio::awaitable<Result<void>> work) {
  try {
    co_return co_await std::move(work);
  } catch (const std::exception& thrown) {
    co_return fail(ErrorCode::internal, thrown.what());
  }
}

asio::awaitable<Result<void>> as_result(asio::awaitable<void> work) {
  co_await std::move(work);
  co_return Result<void>{};
}

}  // namespace

TaskSpawner::TaskSpawner(asio::io_context& io, std::function<std::shared_ptr<void>()> keep_alive)
    : io_(io), keep_alive_(std::move(keep_alive)) {}

void TaskSpawner::spawn(asio::awaitable<Result<void>> work, std::function<void(Result<void>)> on_done) {
  asio::co_spawn(io_, catch_exceptions(std::move(work)),
                 [kept = keep_alive_(), answer = std::move(on_done)](const std::exception_ptr& thrown,
                                                                     Result<void> result) {
                   if (thrown) result = fail(ErrorCode::internal, "the operation was given up");
                   answer(std::move(result));
                 });
}

void TaskSpawner::spawn(asio::awaitable<void> work) {
  spawn(as_result(std::move(work)), [](const Result<void>&) {});
}

}  // namespace mgpu::engine
