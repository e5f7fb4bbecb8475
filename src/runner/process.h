// Runner `process`: an application that we start in a process group of its own, listen to, and end with all
// its children.
//
// Thread rule: the runner's; unless it outlives us, that thread must live as long as the process should,
// since the kernel kills the process when the thread that started it ends.
#pragma once

#include "runner/runner.h"

namespace mgpu::runner {

// Orphaned grandchildren become ours, so that their group can be seen to its end. Once, at start-up.
void become_subreaper();

class Process final : public Runner {
 public:
  // Starts it; an error here means that nothing runs. Errors: load_failed (no such command, no permission,
  // no such cwd or log file), in a sentence that names it.
  static Result<std::unique_ptr<Process>> start(boost::asio::any_io_executor executor,
                                                const config::ProcessConfig& config, RunOptions options);

  // Takes over a process of an earlier life: from now on it is watched, listened to (as far as it still
  // writes to the pipe that we gave it) and ended as if it had been started here; only its exit code will
  // stay unknown. Error: not_found.
  static Result<std::unique_ptr<Process>> adopt(boost::asio::any_io_executor executor,
                                                const config::ProcessConfig& config,
                                                const RecordedProcess& known, RunOptions options);

  // Kills what is left of the group, without waiting and without on_exit.
  ~Process() override;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int pid() const;  // also the id of its process group
  RunIdentity identity() const override;
  std::optional<std::uint16_t> port() const override;
  bool is_running() const override;                               // the leader has not exited
  const std::optional<ExitStatus>& exit_status() const override;  // the leader's
  std::vector<std::string> log_tail(std::size_t count) const override;
  bool is_owned() const override { return true; }

  // The stop signal to the whole group; SIGKILL to what is left of it after `limit_setting`. Returns when the
  // whole group is gone, grandchildren too. Error: eviction_failed (not even SIGKILL ended it).
  boost::asio::awaitable<Result<void>> stop(Duration limit) override;

  // SIGKILL to the whole group, otherwise like stop.
  boost::asio::awaitable<Result<void>> kill() override;

 private:
  struct State;
  explicit Process(std::shared_ptr<State> state);
  std::shared_ptr<State> state_;  // shared with the reads and waits in flight, which may outlive us
};

}  // namespace mgpu::runner
