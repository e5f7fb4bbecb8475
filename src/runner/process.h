// Runner `process`: an application that is started in its own process group, whose output is read, and that
// is ended with all its descendants (runner/run_processes.h).
//
// Thread rule: the runner's. Unless outlives_daemon is set, that thread must run as long as the process
// should: the kernel kills the process when the thread that started it ends.
#pragma once

#include "runner/runner.h"

namespace mgpu::runner {

// Orphaned grandchildren become children of this process, so that the end of their group can be observed.
// Called once, at start-up.
void become_subreaper();

class Process final : public Runner {
 public:
  // On error nothing runs. Errors: load_failed (no such command, no permission, no such cwd or log file,
  // another program has the port), with its name in the detail.
  static Result<std::unique_ptr<Process>> start(boost::asio::any_io_executor executor,
                                                const config::ProcessConfig& config, RunOptions options);

  // Adopts a process of an earlier start of the daemon: it is watched, its output is read (if it still writes
  // to its original pipe) and it is ended as if it had been started here; only its exit code stays unknown.
  // Error: not_found (it has ended).
  static Result<std::unique_ptr<Process>> adopt(boost::asio::any_io_executor executor,
                                                const config::ProcessConfig& config,
                                                const RecordedProcess& known, RunOptions options);

  // Kills the remaining processes without waiting; on_exit is not called.
  ~Process() override;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int pid() const;  // also the id of its process group
  RunIdentity identity() const override;
  std::optional<http::Endpoint> endpoint() const override;
  std::vector<std::string> device_uuids() const override;
  // The leader has not exited, or ended with code 0 and left a server in the background that listens at
  // endpoint(), or may soon.
  bool is_running() const override;
  const std::optional<ExitStatus>& exit_status() const override;  // the leader's
  std::vector<std::string> log_tail(std::size_t count) const override;
  bool is_owned() const override { return true; }

  bool owns_process(int pid) override;
  void set_ready() override;

  // Sends the stop signal to the whole group; once the leader has ended, to all that left the group; and
  // SIGKILL to what remains after `limit`. Returns when all have ended. Error: eviction_failed (one survived
  // SIGKILL).
  boost::asio::awaitable<Result<void>> stop(Duration limit) override;

  // Sends SIGKILL to all processes of the run, otherwise like stop.
  boost::asio::awaitable<Result<void>> kill() override;

 private:
  struct State;
  explicit Process(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with reads and waits in flight, which may outlive the object
};

}  // namespace mgpu::runner
