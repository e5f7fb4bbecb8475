// Reaps children that no other code waits for. Code that starts a child and waits for it registers the child.
// All other children of this process are orphans that it inherited (become_subreaper), or children whose
// owner stopped waiting; without a reaper they would stay zombies.
//
// A service of the io_context. Thread rule: its one thread.
#pragma once

#include <set>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <sys/types.h>

namespace mgpu::runner {

class ChildReaper : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;
  using key_type = ChildReaper;  // NOLINT(readability-identifier-naming): Asio asks for it

  explicit ChildReaper(boost::asio::execution_context& context) : service(context) {}
  static ChildReaper& from_executor(const boost::asio::any_io_executor& executor);

  // The caller waits for this child, until unregister_child(): after reaping it, or when it stops waiting.
  void register_child(pid_t pid) { registered_.insert(pid); }
  void unregister_child(pid_t pid);

  // Unregistered children are reaped when they end, until the executor's context is destroyed. Called once,
  // at start-up.
  void start_reaping_orphans(const boost::asio::any_io_executor& executor);

 private:
  struct SigchldWatch {
    explicit SigchldWatch(const boost::asio::any_io_executor& executor);
    boost::asio::signal_set sigchld;
    boost::asio::steady_timer retry_timer;
  };
  void shutdown() noexcept override { watch_.reset(); }
  void wait_for_sigchld();
  void reap_unregistered();

  std::set<pid_t> registered_;
  std::unique_ptr<SigchldWatch> watch_;
};

}  // namespace mgpu::runner
