// The daemon's own output: the log on stderr, and what it says on stdout. Nobody ever waits for whoever reads
// them: what is not read in time is dropped, counted, and told once it is read again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "runner/queued_writer.h"

namespace mgpu::daemon {

class Log {
 public:
  // From now on spdlog writes here, from any thread. Where 0, 1 or 2 is closed, it becomes /dev/null: no
  // socket may get the number that the log is written to.
  Log();
  ~Log();  // closes
  Log(const Log&) = delete;
  Log& operator=(const Log&) = delete;

  // For people, without time or level.
  void print(std::string line);        // stdout
  void print_error(std::string line);  // stderr

  // Waits a second at most for what is not written yet; what is said later goes nowhere.
  void close();

  std::uint64_t dropped() const;  // lines that were not read in time, ever

 private:
  std::unique_ptr<runner::QueuedWriter> stdout_writer_;
  std::unique_ptr<runner::QueuedWriter> stderr_writer_;
};

}  // namespace mgpu::daemon
