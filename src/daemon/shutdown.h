// How the daemon ends.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <thread>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/log.h"
#include "engine/engine.h"
#include "http/server.h"

namespace mgpu::daemon {

// SIGTERM and SIGINT: the first one drains, the second one stops the strand at once. Five seconds after the
// second the process ends, even if the strand or the driver hangs.
//
// Signals are handled on a thread of this class, so that a blocked strand does not delay them. Thread rule:
// all functions are called on the strand's thread.
class ShutdownController {
 public:
  explicit ShutdownController(Log& log) : log_(log) {}
  ShutdownController(const ShutdownController&) = delete;
  ShutdownController& operator=(const ShutdownController&) = delete;

  // REQUIRES: everything else that serve() made is destroyed, except for the log.
  ~ShutdownController();

  void listen_for_signals(boost::asio::io_context& io, engine::Engine& engine);

  // From now on no signal is posted to the strand. REQUIRED before the io_context is destroyed.
  void detach_strand();

  // The driver does not return from a call: the process has to end without waiting for that thread.
  void mark_driver_hung() { driver_hung_ = true; }

  // 0, or 1 after a second signal.
  int exit_code() const { return exit_code_; }

 private:
  void wait_for_signal();
  void start_drain();
  void stop_at_once();
  void post_to_strand(std::function<void(boost::asio::io_context&)> action);

  Log& log_;

  // Used by thread_ only, once it runs.
  boost::asio::io_context signal_loop_{1};
  boost::asio::signal_set signals_{signal_loop_};
  boost::asio::steady_timer forced_exit_timer_{signal_loop_};
  bool draining_ = false;

  std::mutex mutex_;  // guards io_
  boost::asio::io_context* io_ = nullptr;
  engine::Engine* engine_ = nullptr;
  std::atomic<int> exit_code_ = 0;
  bool driver_hung_ = false;
  std::thread thread_;
};

// Lets running handlers send their last answer (an error, if their work was cut off), then closes all
// connections. Takes two seconds at most. REQUIRES: io.run() has returned; what the handlers refer to is
// alive.
void close_connections(boost::asio::io_context& io, http::Server& server);

}  // namespace mgpu::daemon
