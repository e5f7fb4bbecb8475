// How an application is started, watched and stopped: as a process of ours, as a unit of systemd, as a
// container. A Runner is one run of it, from its start (or from when it was found running) to its end; a
// consumer with an external service has none.
//
// Thread rule: everything on the one thread of the executor given to start() or find().
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
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

// By what its processes are known among all others.
struct RunIdentity {
  std::optional<int> pid{};  // of the process above all others of it, while that runs
  std::optional<int> process_group{};
  std::string unit{};          // of systemd: "ollama.service"
  std::string container_id{};  // 64 hexadecimal digits
};

// A process that an earlier life of the daemon started, as recorded then.
struct RecordedProcess {
  int pid = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot
  std::optional<std::uint16_t> port{};
};

struct RunOptions {
  std::size_t log_lines = 200;
  bool needs_port = false;           // choose a port even where the command names none (the url has ${PORT})
  Duration start_limit{60'000'000};  // for what systemd or the container engine needs to say that it runs
  std::function<void(const ExitStatus&)> on_exit{};  // once, posted, when it has ended; may be empty
  // Of processes alone; systemd and container engines keep their own whatever becomes of us.
  bool outlives_daemon = false;              // when the daemon is killed it lives on, to be found by the next
  std::map<std::string, std::string> env{};  // variables besides those of its configuration; these win
};

class Runner {
 public:
  // A process of ours is killed with it; units and containers live on, and nobody hears of their end.
  virtual ~Runner() = default;

  virtual RunIdentity identity() const = 0;
  virtual std::optional<std::uint16_t> port() const = 0;             // where one was chosen
  virtual bool is_running() const = 0;                               // it has not ended, as far as we heard
  virtual const std::optional<ExitStatus>& exit_status() const = 0;  // once it has
  virtual std::vector<std::string> log_tail(std::size_t count) const = 0;

  // Whether it is ours to end with the daemon: we started it, in this life or (a container that we made) in
  // an earlier one. What already ran when we came stays.
  virtual bool is_owned() const = 0;

  // Asks it to end, and forces it once `limit_setting` has passed. Returns when all of it is gone; at once
  // where it had ended by itself. Error: eviction_failed (it lives on, or nobody can be asked).
  virtual boost::asio::awaitable<Result<void>> stop(Duration limit) = 0;

  // Ends it by force; may be called while stop() waits. Errors: as stop.
  virtual boost::asio::awaitable<Result<void>> kill() = 0;
};

using StartResult = Result<std::unique_ptr<Runner>>;

// Starts the application as its configuration says; what runs already is joined. An error means that nothing
// runs that we started. Errors: load_failed (no such command, unit, image, container; it ended at once; not
// within start_limit), in a sentence that names it.
// REQUIRES: a runner in `config`, which outlives the call.
boost::asio::awaitable<StartResult> start(boost::asio::any_io_executor executor,
                                          const config::ConsumerConfig& config, RunOptions options);

// The run that is there already, without starting any. A process is found only if it is `known`. Null: none.
// Errors: load_failed (nobody can be asked), not_found (the known one is gone).
boost::asio::awaitable<StartResult> find(boost::asio::any_io_executor executor,
                                         const config::ConsumerConfig& config, RunOptions options,
                                         std::optional<RecordedProcess> known);

}  // namespace mgpu::runner
