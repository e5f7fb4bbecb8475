// Starts coroutines on the strand and guarantees a result, also if a library throws in them.
//
// Thread rule: the strand.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "base/result.h"

namespace mgpu::engine {

class TaskSpawner {
 public:
  // `keep_alive` returns the owner of what a coroutine refers to; each coroutine holds it until it ends.
  TaskSpawner(boost::asio::io_context& io, std::function<std::shared_ptr<void>()> keep_alive);

  // Calls `on_done` exactly once, with the result of `work` or, if it threw, ErrorCode::internal. `work` is
  // posted and never begins inline: an event that it dispatches must not reach the core in the middle of a
  // step.
  void spawn(boost::asio::awaitable<Result<void>> work, std::function<void(Result<void>)> on_done);
  void spawn(boost::asio::awaitable<void> work);

 private:
  boost::asio::io_context& io_;
  std::function<std::shared_ptr<void>()> keep_alive_;
};

}  // namespace mgpu::engine
