// Starts coroutines on the strand whose result must arrive, whatever libraries throw in them.
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
  // `keep_alive` returns what a coroutine under way refers to; each holds it until it is over.
  TaskSpawner(boost::asio::io_context& io, std::function<std::shared_ptr<void>()> keep_alive);

  // Calls `on_done` exactly once, with what `work` returned or, where it threw, ErrorCode::internal. `work`
  // is posted and never begins inline: an event that it dispatches must not reach the core in the middle of a
  // step.
  void spawn(boost::asio::awaitable<Result<void>> work, std::function<void(Result<void>)> on_done);
  void spawn(boost::asio::awaitable<void> work);

 private:
  boost::asio::io_context& io_;
  std::function<std::shared_ptr<void>()> keep_alive_;
};

}  // namespace mgpu::engine
