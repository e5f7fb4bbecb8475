// Who reaps which child. Whoever starts one waits for it and says so; all other children of this process are
// orphans that became ours (become_subreaper) in sessions of their own, or whose owner gave up waiting:
// nobody would ever ask for their exit codes.
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

class Children : public boost::asio::execution_context::service {
 public:
  static boost::asio::execution_context::id id;
  using key_type = Children;  // NOLINT(readability-identifier-naming): Asio asks for it

  explicit Children(boost::asio::execution_context& context) : service(context) {}
  static Children& of(const boost::asio::any_io_executor& executor);

  // Somebody waits for this child, until release(): it was reaped, or nobody waits any more.
  void expect(pid_t pid) { expected_.insert(pid); }
  void release(pid_t pid);

  // From now on the children that nobody waits for are reaped when they end, as long as the executor's
  // context lives. Once, at start-up.
  void reap_others(const boost::asio::any_io_executor& executor);

 private:
  struct Watch {
    explicit Watch(const boost::asio::any_io_executor& executor);
    boost::asio::signal_set ended;
    boost::asio::steady_timer again;
  };
  void shutdown() noexcept override { watch_.reset(); }
  void listen();
  void look();

  std::set<pid_t> expected_;
  std::unique_ptr<Watch> watch_;
};

}  // namespace mgpu::runner
