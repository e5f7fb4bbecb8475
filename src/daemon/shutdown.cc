#include "daemon/shutdown.h"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace mgpu::daemon {
namespace {

namespace asio = boost::asio;

constexpr int kExitForced = 1;
constexpr std::chrono::seconds kForcedExitLimit{5};  // from the second signal to the end of the process
constexpr std::chrono::seconds kCloseConnectionsLimit{2};

}  // namespace

ShutdownController::~ShutdownController() {
  if (!thread_.joinable()) return;
  if (driver_hung_) {
    // Destructors that libraries run at exit would wait for the thread that hangs in the driver.
    spdlog::warn("the driver hangs: exiting without closing it");
    log_.close();
    std::_Exit(exit_code_);
  }
  signal_loop_.stop();
  thread_.join();
}

void ShutdownController::listen_for_signals(asio::io_context& io, engine::Engine& engine) {
  io_ = &io;
  engine_ = &engine;
  signals_.add(SIGTERM);
  signals_.add(SIGINT);
  wait_for_signal();
  thread_ = std::thread([this] { signal_loop_.run(); });
}

void ShutdownController::detach_strand() {
  const std::lock_guard lock(mutex_);
  io_ = nullptr;
}

void ShutdownController::wait_for_signal() {
  signals_.async_wait([this](boost::system::error_code cancelled, int) {
    if (cancelled) return;
    if (std::exchange(draining_, true)) return stop_at_once();
    start_drain();
    wait_for_signal();
  });
}

void ShutdownController::start_drain() {
  post_to_strand([this](asio::io_context& io) {
    spdlog::info(
        "draining: new work is refused, running work has limits.drain_limit to finish; a second signal stops "
        "at once");
    asio::co_spawn(io, engine_->drain(), [&io](const std::exception_ptr&) { io.stop(); });
  });
}

void ShutdownController::stop_at_once() {
  exit_code_ = kExitForced;
  post_to_strand([](asio::io_context& io) {
    spdlog::warn("second signal: stopping at once");
    io.stop();
  });
  forced_exit_timer_.expires_after(kForcedExitLimit);
  forced_exit_timer_.async_wait([](boost::system::error_code cancelled) {
    if (!cancelled) std::_Exit(kExitForced);
  });
}

void ShutdownController::post_to_strand(std::function<void(asio::io_context&)> action) {
  const std::lock_guard lock(mutex_);
  if (io_ != nullptr) asio::post(*io_, [io = io_, act = std::move(action)] { act(*io); });
}

void close_connections(asio::io_context& io, http::Server& server) {
  const auto deadline = std::chrono::steady_clock::now() + kCloseConnectionsLimit;
  io.restart();
  // Handlers whose work was cut off need a few steps to answer; they are done once nothing runs for 20 ms.
  while (io.run_one_for(std::chrono::milliseconds(20)) > 0 && std::chrono::steady_clock::now() < deadline) {
  }
  server.close();
  io.restart();
  while (server.connection_count() > 0 && std::chrono::steady_clock::now() < deadline)
    io.run_one_for(std::chrono::milliseconds(50));
  io.restart();
  io.poll();
}

}  // namespace mgpu::daemon
