#include "runner/child_reaper.h"

#include <chrono>
#include <csignal>

#include <boost/asio/execution/context.hpp>
#include <boost/asio/query.hpp>
#include <sys/wait.h>

namespace mgpu::runner {

namespace asio = boost::asio;

namespace {

// While a registered child that has ended is not reaped by its owner: waitid() reports no other child before
// it.
constexpr std::chrono::milliseconds kReapRetryDelay{20};

}  // namespace

asio::execution_context::id ChildReaper::id;

ChildReaper& ChildReaper::from_executor(const asio::any_io_executor& executor) {
  return asio::use_service<ChildReaper>(asio::query(executor, asio::execution::context));
}

void ChildReaper::unregister_child(pid_t pid) {
  registered_.erase(pid);
  if (watch_) reap_unregistered();
}

ChildReaper::SigchldWatch::SigchldWatch(const asio::any_io_executor& executor)
    : sigchld(executor, SIGCHLD), retry_timer(executor) {
  // SA_RESTART: a SIGCHLD must not interrupt system calls of other code, such as those to a driver.
  struct sigaction action{};
  sigaction(SIGCHLD, nullptr, &action);
  action.sa_flags |= SA_RESTART | SA_NOCLDSTOP;
  sigaction(SIGCHLD, &action, nullptr);
}

void ChildReaper::start_reaping_orphans(const asio::any_io_executor& executor) {
  watch_ = std::make_unique<SigchldWatch>(executor);
  wait_for_sigchld();
  reap_unregistered();
}

void ChildReaper::wait_for_sigchld() {
  watch_->sigchld.async_wait([this](boost::system::error_code cancelled, int) {
    if (cancelled) return;
    reap_unregistered();
    wait_for_sigchld();
  });
}

void ChildReaper::reap_unregistered() {
  for (;;) {
    siginfo_t ended{};
    if (waitid(P_ALL, 0, &ended, WEXITED | WNOHANG | WNOWAIT) != 0 || ended.si_pid == 0) return;
    if (registered_.contains(ended.si_pid)) break;
    waitpid(ended.si_pid, nullptr, WNOHANG);
  }
  watch_->retry_timer.expires_after(kReapRetryDelay);
  watch_->retry_timer.async_wait([this](boost::system::error_code cancelled) {
    if (!cancelled) reap_unregistered();
  });
}

}  // namespace mgpu::runner
