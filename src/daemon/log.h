// The daemon's output: the log on stderr, messages on stdout. Writing never blocks: lines that are not read
// in time are dropped and counted, and a line about them is written once stderr is read again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/config.h"
#include "runner/queued_writer.h"

namespace mgpu::daemon {

class LogSink;  // of spdlog

class Log {
 public:
  // Makes this the output of spdlog, for all threads. Descriptors 0, 1 and 2 are opened to /dev/null where
  // they are closed: otherwise a socket could get the number of stderr, and the log would go to a client.
  Log();
  ~Log();  // closes
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // Writes `${env.NAME}` for these values from now on.
  void hide_values(std::vector<config::EnvironmentUse> values);

  // Without time and level.
  void print(std::string line);               // stdout
  void print_error(const std::string& line);  // stderr

  // Waits at most a second for queued lines to be written. Later lines are discarded.
  void close();

  std::uint64_t dropped() const;  // lines dropped since start, stdout and stderr together

 private:
  std::unique_ptr<runner::QueuedWriter> stdout_writer_;
  std::unique_ptr<runner::QueuedWriter> stderr_writer_;
  std::vector<config::EnvironmentUse> hidden_{};  // of print_error
  std::shared_ptr<LogSink> sink_;
};

}  // namespace mgpu::daemon
