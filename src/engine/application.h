// One consumer's application: its service and, where it is ours to run, its runner. Knows how it is loaded,
// evicted, looked at and stopped; never whether it should be.
//
// Thread rule: the strand. Coroutines under way need the application to live; the engine sees to that.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "base/result.h"
#include "config/config.h"
#include "domain/consumer.h"
#include "engine/engine.h"
#include "runner/cuda_checkpoint.h"
#include "runner/runner.h"
#include "service/service.h"

namespace mgpu::engine {

// What a look at a running service showed.
struct ServiceSnapshot {
  bool up = false;
  bool reports_residency = false;   // whether it says what is in device memory; else whoever is up is warm
  bool started_externally = false;  // it came up without us asking
  std::vector<std::string> ai_models{};               // AI models; empty where it has just one
  std::vector<std::pair<std::string, Bytes>> warm{};  // in device memory now; 0 bytes: it does not say
};

// The port of a service that runs without us; none for those with a runner and consumers without service.
std::optional<std::uint16_t> external_port(const config::ConsumerConfig& config);

class Application {
 public:
  // `lost` hears when its run ended though nobody stopped it.
  Application(boost::asio::io_context& io, const config::ConsumerConfig& config, std::size_t log_lines,
              std::function<void(Error)> on_lost);

  // From now on parking means: cuda-checkpoint, of the processes that `holders` names (those that hold device
  // memory now). Both must outlive it.
  using DevicePidsLookup = std::function<boost::asio::awaitable<std::vector<int>>()>;
  void enable_checkpoint_parking(runner::CudaCheckpoint& checkpoint, DevicePidsLookup find_device_pids);
  // Its processes outlive a daemon that is killed, carry the mark (runner/process_recovery.h), and `started`
  // hears of each at once, to record it.
  void outlive_daemon(std::string mark,
                      std::function<void(int pid, std::optional<std::uint16_t> port)> on_started);

  // Its processes see one device alone, unless their configuration chooses: the one whose UUID `device` says
  // when they are started.
  void restrict_devices(std::function<std::vector<std::string>()> devices);

  // A load that fails leaves the process alone while `is_in_use` says that somebody works in it.
  void keep_process_while(std::function<bool()> is_in_use) { is_in_use_ = std::move(is_in_use); }

  bool has_service() const;
  bool is_external() const { return config::is_external(config_); }
  // Whether it may be up without us: then it is looked for.
  bool is_discoverable() const { return !config_.process; }
  bool is_polled() const { return has_service() || (is_discoverable() && !is_external()); }
  std::optional<http::Endpoint> endpoint() const;
  runner::RunIdentity identity() const;  // while it runs; a unit's name always
  std::vector<std::string> log_tail() const;

  // Starts it if it does not run, waits until it is healthy, loads. What failed is stopped again, so
  // that it holds nothing, and whatever else was in the process is told lost; a process of several AI models
  // that is in use, or could not load just this one, goes on. Errors: load_failed, out_of_memory, not_found,
  // shutting_down, with the last log lines.
  boost::asio::awaitable<Result<void>> load(std::string ai_model, bool from_parked);

  // One rung of the ladder, asked and answered. Who has ended has nothing left to take.
  boost::asio::awaitable<Result<void>> evict(Rung rung, std::string ai_model);

  // Takes over a process that an earlier life started, if its service is healthy; ends it if not. REQUIRES:
  // no run yet. Errors: not_found (there is no such process any more), service_down, eviction_failed.
  boost::asio::awaitable<Result<void>> adopt(runner::RecordedProcess known);

  // Finds a unit or container that runs without us, too.
  boost::asio::awaitable<ServiceSnapshot> poll_service();
  boost::asio::awaitable<bool> is_service_down();
  boost::asio::awaitable<std::uint32_t>
  count_active_requests();  // requests that its service is at or has waiting

  // Waits until the next look is due, or the end has come.
  boost::asio::awaitable<void> sleep_for(Duration duration);

  // Grows with each load and eviction: what was seen before and after may not fit together.
  std::uint64_t generation() const { return generation_; }

  // Stops for good what is ours to stop. Errors: as Runner::stop.
  boost::asio::awaitable<Result<void>> shut_down();
  void close();

 private:
  using AsyncResult = boost::asio::awaitable<Result<void>>;

  // One at a time, and nobody attaches to what runs already.
  AsyncResult attach(bool start_new);
  AsyncResult begin_run(bool start_new, std::optional<runner::RecordedProcess> known);
  runner::RunOptions run_options(std::uint64_t number);
  Result<void> make_service();
  bool is_running() const { return runner_ && runner_->is_running(); }
  AsyncResult stop_after_failed_load(Error why);
  AsyncResult start_and_load(std::string ai_model, bool from_parked,
                             bool& reached_service);  // asked: it came to the service
  AsyncResult park(std::string ai_model, Duration limit);
  AsyncResult resume_processes(Duration limit);
  AsyncResult stop_run(Duration limit);
  AsyncResult kill_run();
  void on_run_ended(const runner::ExitStatus& status, std::uint64_t number);
  void clean_up_after_crash();
  Error with_diagnostics(Error error) const;

  boost::asio::io_context& io_;
  const config::ConsumerConfig& config_;
  std::string mark_{};  // empty: its processes die with us
  std::function<void(int, std::optional<std::uint16_t>)> on_started_{};
  std::function<std::vector<std::string>()> visible_devices_{};  // empty: they see what the daemon sees
  std::size_t log_lines_;
  std::function<void(Error)> on_lost_;
  std::function<bool()> is_in_use_{};
  // Shared with the coroutines that talk to them while they are replaced.
  std::shared_ptr<service::Service> service_{};
  std::shared_ptr<runner::Runner> runner_{};  // the present run, or the last one
  runner::CudaCheckpoint* checkpoint_ = nullptr;
  DevicePidsLookup find_device_pids_{};
  std::vector<int> parked_pids_{};   // processes whose device memory the checkpoint has
  std::uint64_t run_number_ = 0;     // of the present run
  std::uint64_t expected_exit_ = 0;  // up to this number their end is no surprise
  std::uint64_t generation_ = 0;
  unsigned pending_stops_ = 0;       // stops and kills under way
  bool attaching_ = false;           // somebody starts it, or looks for it
  bool started_externally_ = false;  // the present run was found, and neither loaded nor evicted since
  bool closing_ = false;
  boost::asio::steady_timer changed_;  // never fires: cancelled when a stop or an attachment is over
  boost::asio::steady_timer poll_timer_;
};

}  // namespace mgpu::engine
