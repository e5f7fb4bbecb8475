// Runner `systemd`: an application that is a unit of the system's or the user's systemd, started and stopped
// by its jobs and watched by its signals. What was active when we came is not ours.
#pragma once

#include "runner/runner.h"

namespace mgpu::runner {

class SystemdUnit final : public Runner {
 public:
  // Returns once systemd's job has ended well and the unit is active. Errors: load_failed (no bus, no such
  // unit, no permission, the job failed or took longer than start_limit; then it is stopped again).
  static boost::asio::awaitable<StartResult> start(boost::asio::any_io_executor executor,
                                                   const config::SystemdConfig& config, RunOptions options);

  static boost::asio::awaitable<StartResult> find(boost::asio::any_io_executor executor,
                                                  const config::SystemdConfig& config, RunOptions options);

  ~SystemdUnit() override;
  SystemdUnit(const SystemdUnit&) = delete;
  SystemdUnit& operator=(const SystemdUnit&) = delete;

  RunIdentity identity() const override;
  std::optional<std::uint16_t> port() const override {
    return std::nullopt;
  }  // its file says where it listens
  bool is_running() const override;  // it has not left `active_state`
  const std::optional<ExitStatus>& exit_status() const override;
  std::vector<std::string> log_tail(std::size_t count) const override;  // of the journal
  bool is_owned() const override;

  // SIGKILL goes to what is left of it after `limit_setting`; systemd's own TimeoutStopSec may be shorter.
  boost::asio::awaitable<Result<void>> stop(Duration limit) override;
  // After a job that stops it, lest systemd starts it again (Restart=).
  boost::asio::awaitable<Result<void>> kill() override;

  struct State;
  explicit SystemdUnit(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;  // shared with the calls in flight, which may outlive us
};

}  // namespace mgpu::runner
