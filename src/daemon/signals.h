// Signals that do not end the daemon. Those that do: daemon/shutdown.h.
#pragma once

#include <csignal>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>

namespace mgpu::daemon {

// Ignores the signals whose default action would end the daemon although nothing is wrong with it: a reader
// of the log or the terminal went away, a file reached its size limit. Child processes get the default
// actions back (runner/spawn).
void ignore_harmless_signals();

// Logs each SIGHUP: the configuration is not reloaded.
class SighupLogger {
 public:
  explicit SighupLogger(boost::asio::io_context& io) : signals_(io, SIGHUP) { wait_for_sighup(); }

 private:
  void wait_for_sighup();

  boost::asio::signal_set signals_;
};

}  // namespace mgpu::daemon
