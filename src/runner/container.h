// Runner `container`: an application in a container of Docker or Podman; one that exists, by its name, or one
// made from the configuration. Ours carry the label mgpu.consumer: by it the next daemon finds them again.
#pragma once

#include "runner/runner.h"

namespace mgpu::runner {

class Container final : public Runner {
 public:
  // Errors: load_failed (no engine answers, no such container or image, refused). A container of ours that
  // has ended is replaced by a new one, since the configuration may be another by now.
  static boost::asio::awaitable<StartResult> start(boost::asio::any_io_executor executor,
                                                   std::string consumer,
                                                   const config::ContainerConfig& config, RunOptions options);

  // Running only: a paused one serves nobody. Errors: as start, but no container is no error.
  static boost::asio::awaitable<StartResult> find(boost::asio::any_io_executor executor, std::string consumer,
                                                  const config::ContainerConfig& config, RunOptions options);

  ~Container() override;
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  RunIdentity identity() const override;
  std::optional<std::uint16_t> port() const override;
  bool is_running() const override;
  const std::optional<ExitStatus>& exit_status() const override;
  std::vector<std::string> log_tail(std::size_t count) const override;
  bool is_owned() const override;
  boost::asio::awaitable<Result<void>> stop(Duration limit) override;
  boost::asio::awaitable<Result<void>> kill() override;

  struct State;
  explicit Container(std::shared_ptr<State> state);

 private:
  std::shared_ptr<State> state_;  // shared with the requests in flight, which may outlive us
};

}  // namespace mgpu::runner
