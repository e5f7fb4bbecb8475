// One consumer's application: its service and, unless it is external, its runner. It loads, evicts, polls and
// stops the application; the core decides whether and when.
//
// Thread rule: the strand. The engine keeps the object alive until no coroutine of it is under way.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
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
#include "runner/port_owner.h"
#include "runner/runner.h"
#include "service/service.h"

namespace mgpu::engine {

// What a poll of the service showed.
struct ServiceSnapshot {
  enum class State : std::uint8_t {
    unknown,  // it does not run, is starting, or gave no usable answer
    up,
    unreachable  // an external one: nothing listens where it should
  };
  struct Present {
    std::string ai_model{};
    Presence presence{};
    Bytes bytes{};  // of device memory; 0: not reported
  };
  State state = State::unknown;
  bool reports_residency = false;  // whether it lists what is in device memory; otherwise up means warm
  bool loads_lazily = false;       // service::Service::loads_lazily
  // The daemon did not start it, and has neither loaded nor evicted since.
  bool started_externally = false;
  std::vector<std::string> ai_models{};                     // that it lists; empty where it has only one
  std::vector<Present> present{};                           // those that are not cold
  std::vector<std::pair<std::string, Bytes>> file_bytes{};  // of those whose files' size it reports
};

// The port of an external service; null with a runner and without a service.
std::optional<std::uint16_t> external_port(const config::ConsumerConfig& config);

class Application {
 public:
  // `on_lost` is called when the run ended without a stop or kill.
  Application(boost::asio::io_context& io, const config::ConsumerConfig& config, std::size_t log_lines,
              std::function<void(Error)> on_lost);

  // Parking then uses cuda-checkpoint on the processes that `find_device_pids` returns: those that hold
  // device memory now. Both arguments must outlive the application.
  using DevicePidsLookup = std::function<boost::asio::awaitable<std::vector<int>>()>;
  void enable_checkpoint_parking(runner::CudaCheckpoint& checkpoint, DevicePidsLookup find_device_pids);
  // Its processes then outlive a daemon that is killed and carry the mark (runner/process_recovery.h);
  // `on_started` is called with each new one at once, to record it.
  void outlive_daemon(std::string mark,
                      std::function<void(int pid, std::optional<std::uint16_t> port)> on_started);

  // Its processes then see only the devices that `bind` returns at their start.
  void restrict_devices(std::function<runner::DeviceBinding()> bind);

  // `on_background` is called when its command has ended and left a process in the background, which may
  // serve it, and with pid 0 when a new run begins.
  void on_background(std::function<void(int pid)> on_background) {
    on_background_ = std::move(on_background);
  }

  // A load that fails does not stop the process while `is_in_use` returns true.
  void keep_process_while(std::function<bool()> is_in_use) { is_in_use_ = std::move(is_in_use); }

  bool has_service() const;
  bool is_external() const { return config::is_external(config_); }
  // Whether it may run without having been started here: then it is looked for.
  bool is_discoverable() const { return !config_.process; }
  bool is_polled() const { return has_service() || (is_discoverable() && !is_external()); }
  std::optional<http::Endpoint> endpoint() const;  // of its service; null while that does not run
  bool is_suspended() const { return !parked_pids_.empty(); }  // by cuda-checkpoint: its service hangs
  // Of the present run, and of what survived the last one; a unit's name always.
  runner::RunIdentity identity() const;
  // Who listens at the address of an external service, as the last poll found it; pid 0: it can't be
  // inspected.
  const std::optional<runner::PortOwner>& listener() const { return listener_; }
  std::vector<std::string> log_tail() const;

  // Starts the application unless it runs, waits until it is healthy, and loads the AI model. After a failure
  // it is stopped, so that it holds no memory, and on_lost reports the process' other AI models; a process
  // that is in use, or has several AI models and refused only this one, runs on. Errors: load_failed,
  // out_of_memory, not_found, shutting_down, with the last log lines.
  boost::asio::awaitable<Result<void>> load(std::string ai_model, bool from_parked);

  // Starts the application unless it runs, and waits until it is healthy; loads nothing. REQUIRES: it takes
  // no device memory by that. Errors: load_failed (again for a few seconds after a failure), shutting_down.
  boost::asio::awaitable<Result<void>> start();

  // Carries out one rung of the eviction ladder. Success where the run has ended, since it holds nothing
  // then.
  boost::asio::awaitable<Result<void>> evict(Rung rung, std::string ai_model);

  // Adopts a process that an earlier daemon started if its service is healthy; ends it otherwise. REQUIRES:
  // no run yet. Errors: not_found (the process is gone), service_down, eviction_failed.
  boost::asio::awaitable<Result<void>> adopt(runner::RecordedProcess known);

  // Also finds a unit or container that was started elsewhere.
  boost::asio::awaitable<ServiceSnapshot> poll_service();
  boost::asio::awaitable<bool> is_service_down();
  boost::asio::awaitable<std::uint32_t> count_active_requests();  // 0 where the service does not report them

  // Counts the begins and ends of loads, evictions and runs. What a poll shows of an AI model that has
  // changed since it began is outdated.
  std::uint64_t change_count() const { return change_count_; }
  bool has_changed_since(std::uint64_t change_count, const std::string& ai_model) const;

  // Stops an owned run for good. Errors: as Runner::stop.
  boost::asio::awaitable<Result<void>> shut_down();
  void close();

 private:
  using AsyncResult = boost::asio::awaitable<Result<void>>;

  void note_change(const std::string& ai_model) { changes_[ai_model] = ++change_count_; }
  void note_change_of_all() { change_of_all_ = ++change_count_; }
  boost::asio::awaitable<ServiceSnapshot> list_service(std::shared_ptr<service::Service> service,
                                                       ServiceSnapshot seen);
  boost::asio::awaitable<bool> is_port_closed();

  // At most one at a time, and only while nothing runs.
  AsyncResult attach(bool start_new);
  AsyncResult begin_run(bool start_new, std::optional<runner::RecordedProcess> known);
  runner::RunOptions run_options(std::uint64_t number);
  Result<void> make_service();
  Result<void> check_address_is_own();
  void find_listener();
  std::optional<http::Endpoint> service_endpoint() const;  // also after the run's end
  bool is_running() const { return runner_ && runner_->is_running(); }
  AsyncResult stop_after_failed_load(Error error);
  AsyncResult start_run();  // unless it runs
  AsyncResult wait_until_healthy(Duration limit);
  AsyncResult start_and_load(std::string ai_model, bool from_parked,
                             bool& reached_service);  // set once the service was told to load
  AsyncResult park(std::string ai_model, Duration limit);
  AsyncResult resume_processes(Duration limit);
  AsyncResult stop_run(Duration limit);
  AsyncResult kill_run();
  void on_run_ended(const runner::ExitStatus& status, std::uint64_t number);
  void clean_up_after_crash();
  Error with_diagnostics(Error error) const;

  struct FailedStart {
    std::chrono::steady_clock::time_point at{};
    Error error{};
  };

  boost::asio::io_context& io_;
  const config::ConsumerConfig& config_;
  std::string mark_{};  // empty: its processes die with the daemon
  std::function<void(int, std::optional<std::uint16_t>)> on_started_{};
  std::function<runner::DeviceBinding()> bind_devices_{};  // empty: all that the daemon sees
  std::function<void(int)> on_background_{};
  std::optional<runner::PortOwner> listener_{};  // of an external service
  bool in_background_ =
      false;  // the present run's command has ended, and what it left in the background runs
  bool run_has_begun_ = false;  // the last attempt to begin a run made `runner_`
  std::size_t log_lines_;
  std::function<void(Error)> on_lost_;
  std::function<bool()> is_in_use_{};
  // Shared with coroutines that use them while they are replaced.
  std::shared_ptr<service::Service> service_{};
  std::shared_ptr<runner::Runner> runner_{};  // the present run, or the last one
  runner::CudaCheckpoint* checkpoint_ = nullptr;
  DevicePidsLookup find_device_pids_{};
  std::vector<int> parked_pids_{};   // whose device memory cuda-checkpoint has moved to host memory
  std::uint64_t run_number_ = 0;     // of the present run
  std::uint64_t expected_exit_ = 0;  // runs up to this number were stopped: their end is not reported
  std::uint64_t change_count_ = 0;
  std::uint64_t change_of_all_ = 0;                 // the last one of all AI models at once
  std::map<std::string, std::uint64_t> changes_{};  // the last one by AI model
  std::uint64_t healthy_run_ = 0;                   // the last run whose service was healthy
  std::optional<FailedStart> failed_start_{};
  unsigned pending_stops_ = 0;       // stops and kills under way
  bool attaching_ = false;           // attach() is under way
  bool started_externally_ = false;  // the present run was found, and neither loaded nor evicted since
  bool closing_ = false;
  boost::asio::steady_timer changed_;  // never fires: cancelled at the end of a stop or an attach()
};

}  // namespace mgpu::engine
