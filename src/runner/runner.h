// How an application is started, watched and stopped: as a process, as a systemd unit, or as a container. A
// Runner is one run of the application, from its start (or from when it was found running) to its end. A
// consumer with an external service has no runner.
//
// The interface does not assume that a run is on this host: its address is an endpoint, its devices are
// UUIDs, and its identity on this host may be empty.
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
#include "http/endpoint.h"
#include "runner/visible_devices.h"

namespace mgpu::runner {

struct ExitStatus {
  std::optional<int> code{};       // its exit code,
  std::optional<int> signal{};     // or the signal that ended it; neither: unknown
  std::vector<std::string> log{};  // its last lines, oldest first
};

// "exited with code 1", "was ended by signal 9 (Killed)".
std::string to_string(const ExitStatus& status);

// Identifies the processes of a run on this host, so that their device memory is attributed to it. Each
// member is another kind of identity, and any one is enough. A run on another host has none.
struct RunIdentity {
  std::optional<int> pid{};  // the root of its process tree, while that runs
  std::optional<int> process_group{};
  std::string run{};           // see gpu/run_mark.h
  std::string unit{};          // of systemd: "ollama.service"
  std::string container_id{};  // 64 hexadecimal digits
  std::string slurm_job{};     // "4711"

  bool is_empty() const {
    return !pid && !process_group && run.empty() && unit.empty() && container_id.empty() && slurm_job.empty();
  }
};

// A process of an earlier start of the daemon, as recorded then.
struct RecordedProcess {
  int pid = 0;
  std::uint64_t start_time = 0;  // clock ticks since boot
  std::optional<std::uint16_t> port{};
};

struct RunOptions {
  std::size_t log_lines = 200;
  std::string url{};  // of its service, as configured: a port is chosen for ${PORT}; empty: no service
  Duration start_limit{60'000'000};  // until systemd or the container engine reports that it runs
  std::function<void(const ExitStatus&)> on_exit{};  // called once, posted, after the end; may be empty
  // Called when the command has ended with code 0 and left `pid` in the background, which may serve; may be
  // empty.
  std::function<void(int pid)> on_background{};
  // For processes only; units and containers keep running without the daemon in any case.
  bool outlives_daemon = false;  // keeps running if the daemon is killed, to be adopted by the next start
  std::string mark{};            // of the daemon's processes (process_recovery.h); empty: dies with it
  std::map<std::string, std::string> env{};  // added to the configuration's variables; these win
  DeviceBinding devices{};  // the only ones that it may use; its configuration's variables win
};

class Runner {
 public:
  // Kills a process; units and containers keep running, and on_exit is not called.
  virtual ~Runner() = default;

  virtual RunIdentity identity() const = 0;  // after the end: at most `run`, as long as this object lives
  // The address of its service, on any host. Null: it has no service, or its port is unknown.
  virtual std::optional<http::Endpoint> endpoint() const = 0;
  // The devices that the run was given. Empty: all devices of its host.
  virtual std::vector<std::string> device_uuids() const = 0;
  virtual bool is_running() const = 0;                               // no end was reported
  virtual const std::optional<ExitStatus>& exit_status() const = 0;  // after the end
  virtual std::vector<std::string> log_tail(std::size_t count) const = 0;

  // Whether the process of this host belongs to the run, or stands for it (as a container engine's proxy or
  // systemd's socket may).
  virtual bool owns_process(int pid) = 0;
  // Its service is healthy: from now on nothing of it is still starting.
  virtual void set_ready() {}

  // Whether the run must end with the daemon: this daemon started it, or an earlier start created the
  // container. A run that existed before is left running.
  virtual bool is_owned() const = 0;

  // Requests its end, and forces it after `limit`. Returns when all its processes have ended; at once if they
  // had already. Error: eviction_failed (it survived SIGKILL, or systemd or the container engine does not
  // respond).
  virtual boost::asio::awaitable<Result<void>> stop(Duration limit) = 0;

  // Forces its end; may be called while stop() waits. Errors: as stop.
  virtual boost::asio::awaitable<Result<void>> kill() = 0;
};

using StartResult = Result<std::unique_ptr<Runner>>;

// Starts the application as configured; a running unit or container is joined. On error nothing runs that
// this call started. Errors: load_failed (no such command, unit, image, container; it ended at once; not
// within start_limit), with its name in the detail. REQUIRES: a runner in `config`, which outlives the call.
boost::asio::awaitable<StartResult> start(boost::asio::any_io_executor executor,
                                          const config::ConsumerConfig& config, RunOptions options);

// Finds the existing run; starts none. A process is found only by `known`. Null: none. Errors: load_failed
// (systemd or the container engine does not respond), not_found (the known process has ended).
boost::asio::awaitable<StartResult> find(boost::asio::any_io_executor executor,
                                         const config::ConsumerConfig& config, RunOptions options,
                                         std::optional<RecordedProcess> known);

}  // namespace mgpu::runner
