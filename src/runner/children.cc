#include "runner/children.h"

#include <chrono>
#include <csignal>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <sys/wait.h>

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

// For a child that somebody waits for, and has not come to yet: the kernel names the others only after it.
constexpr std::chrono::milliseconds kLookAgain{20};

}  // namespace

asio::execution_context::id Children::id;

Children& Children::of(const asio::any_io_executor& executor) {
  return asio::use_service<Children>(asio::query(executor, asio::execution::context));
}

void Children::release(pid_t pid) {
  expected_.erase(pid);
  if (watch_) look();
}

Children::Watch::Watch(const asio::any_io_executor& executor) : ended(executor, SIGCHLD), again(executor) {
  // Nobody who waits in the kernel (for a driver, say) shall be disturbed by it.
  struct sigaction action{};
  sigaction(SIGCHLD, nullptr, &action);
  action.sa_flags |= SA_RESTART | SA_NOCLDSTOP;
  sigaction(SIGCHLD, &action, nullptr);
}

void Children::reap_others(const asio::any_io_executor& executor) {
  watch_ = std::make_unique<Watch>(executor);
  listen();
  look();
}

void Children::listen() {
  watch_->ended.async_wait([this](boost::system::error_code cancelled, int) {
    if (cancelled) return;
    look();
    listen();
  });
}

void Children::look() {
  for (;;) {
    siginfo_t ended{};
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    if (expected_.contains(ended.si_pid)) break;
    waitpid(ended.si_pid, nullptr, WNOHANG);
  }
  watch_->again.expires_after(kLookAgain);
  watch_->again.async_wait([this](boost::system::error_code cancelled) {
    if (!cancelled) look();
  });
}

}  // namespace mgpu::runner
