// Runner `process`: an application that we start in a process group of its own, listen to, and end with all
// its children. A consumer with an external service simply has no Process.
//
// Thread rule: everything on the one thread of the executor given to start(); unless it outlives us, that
// thread must live as long as the process should, since the kernel kills the process when the thread that
// started it ends.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/result.h"
#include "base/time.h"
#include "config/config.h"

namespace mgpu::runner {

struct ExitStatus {
  std::optional<int> code{};       // it returned this,
  std::optional<int> signal{};     // or this signal ended it; neither: nobody can tell
  std::vector<std::string> log{};  // its last lines, oldest first
};

// "exited with code 1", "was ended by signal 9 (Killed)".
std::string to_string(const ExitStatus& status);

// Orphaned grandchildren become ours, so that their group can be seen to its end. Once, at start-up.
void become_subreaper();

class Process {
 public:
  struct Options {
    std::size_t log_lines = 200;
    bool outlives_us = false;  // when the daemon is killed it lives on, to be adopted by the next one
    bool needs_port = false;   // choose a port even where the command names none (the url has ${PORT})
    std::function<void(const ExitStatus&)>
        on_exit{};  // once, posted, when the leader has exited; may be empty
  };

  // Starts it; an error here means that nothing runs. Errors: load_failed (no such command, no permission,
  // no such cwd or log file), in a sentence that names it.
  static Result<std::unique_ptr<Process>> start(boost::asio::any_io_executor executor,
                                                const config::ProcessConfig& config, Options options);

  // A process that an earlier life started, as recorded then.
  struct Known {
    int pid = 0;
    std::uint64_t start_time = 0;  // clock ticks since boot
    std::optional<std::uint16_t> port{};
  };

  // Takes it over: from now on it is watched, listened to (as far as it still writes to the pipe that we gave
  // it) and ended as if it had been started here; only its exit code will stay unknown. Error: not_found.
  static Result<std::unique_ptr<Process>> adopt(boost::asio::any_io_executor executor,
                                                const config::ProcessConfig& config, const Known& known,
                                                Options options);

  // Kills what is left of the group, without waiting and without on_exit.
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int pid() const;                                // also the id of its process group
  std::optional<std::uint16_t> port() const;      // where one was chosen
  bool running() const;                           // the leader has not exited
  const std::optional<ExitStatus>& exit() const;  // once it has
  std::vector<std::string> log_tail(std::size_t count) const;

  // The stop signal to the whole group; SIGKILL to what is left of it after `limit`. Returns when the whole
  // group is gone, grandchildren too. Error: eviction_failed (not even SIGKILL ended it).
  boost::asio::awaitable<Result<void>> stop(Duration limit);

  // SIGKILL to the whole group, otherwise like stop.
  boost::asio::awaitable<Result<void>> kill();

 private:
  struct State;
  explicit Process(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the reads and waits in flight, which may outlive us
};

}  // namespace mgpu::runner
