// Dispatches the local hour of day to the core, at the start and at each change.
//
// Thread rule: the strand.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "engine/core_loop.h"

namespace mgpu::engine {

class HourTimer {
 public:
  HourTimer(boost::asio::io_context& io, CoreLoop& loop) : loop_(loop), timer_(io) {}

  boost::asio::awaitable<void> run();  // until the loop is closed
  void close() { timer_.cancel(); }

 private:
  CoreLoop& loop_;
  boost::asio::steady_timer timer_;
};

}  // namespace mgpu::engine
