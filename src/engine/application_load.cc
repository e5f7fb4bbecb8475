// How an application gets into device memory: a run of it is started or joined, its service gets healthy, and
// is told to load.
#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/hidden_values.h"
#include "config/services.h"
#include "engine/application.h"
#include "runner/process_recovery.h"
#include "runner/time_budget.h"
#include "service/out_of_memory.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kErrorLogLines = 5;
constexpr std::chrono::seconds kStartBackoff{5};  // between failed starts for looks

}  // namespace

asio::awaitable<Result<void>> Application::load(std::string ai_model, bool from_parked) {
  note_change(ai_model);
  started_externally_ = false;
  bool reached_service = false;
  Result<void> result = co_await start_and_load(ai_model, from_parked, reached_service);
  if (!result) result = std::unexpected(with_diagnostics(result.error()));
  // A service of several AI models that refused one of them still serves the others.
  const bool can_serve_others = reached_service && is_running() && has_several_ai_models(config_.service);
  const bool in_use = is_running() && is_in_use_ && is_in_use_();
  if (!result && !is_external() && !can_serve_others && !in_use) {
    Error error = result.error();
    result = co_await stop_after_failed_load(std::move(error));
  }
  note_change(ai_model);
  co_return result;
}

// The runner does not report an end that was requested here, so on_lost is called for the process' other AI
// models. Before the stop, so that no request is forwarded to them meanwhile.
asio::awaitable<Result<void>> Application::stop_after_failed_load(Error error) {
  if (is_running() && !closing_ && has_several_ai_models(config_.service) && on_lost_)
    on_lost_(
        {ErrorCode::service_down, config_.name + ": its process is stopped because a load in it failed"});
  const Duration limit = config_.stop_limit;
  const Result<void> stopped = co_await stop_run(limit);
  if (!stopped) error.detail += "; " + stopped.error().detail;
  co_return std::unexpected(std::move(error));
}

asio::awaitable<Result<void>> Application::start_and_load(std::string ai_model, bool from_parked,
                                                          bool& reached_service) {
  const runner::TimeBudget remaining(config_.load_limit);
  const std::uint64_t earlier_run = run_number_;
  const Result<void> running = co_await start_run();
  if (!running) co_return running;
  const bool fresh = run_number_ != earlier_run;
  const bool was_parked = !parked_pids_.empty();
  if (was_parked) {
    const Duration limit = remaining();
    const Result<void> resumed = co_await resume_processes(limit);
    if (!resumed) co_return resumed;
  }
  if (!service_) co_return Result<void>{};

  const auto service = service_;
  const Duration health_limit = remaining();
  const Result<void> healthy = co_await wait_until_healthy(health_limit);
  if (!healthy) co_return healthy;
  reached_service = true;
  const Duration load_limit = remaining();
  if (was_parked) co_return Result<void>{};  // resumed with its AI model
  if (from_parked && !fresh) co_return co_await service->resume(ai_model, load_limit);
  co_return co_await service->load(ai_model, load_limit);
}

asio::awaitable<Result<void>> Application::start_run() {
  while (pending_stops_ > 0 && !closing_) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  if (closing_) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  if (is_external() || is_running()) co_return Result<void>{};
  const Result<void> attached = co_await attach(true);
  if (!attached) co_return attached;
  if (closing_) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Application::wait_until_healthy(Duration limit) {
  const auto service = service_;
  const std::uint64_t number = run_number_;
  const std::function<bool()> alive = [this, number] {
    return !closing_ && (is_external() || (is_running() && number == run_number_));
  };
  const Result<void> healthy = co_await service::wait_healthy(*service, limit, alive);
  if (!healthy) co_return healthy;
  if (const Result<void> own = check_address_is_own(); !own) co_return own;
  if (runner_) runner_->set_ready();
  healthy_run_ = number;
  // It survived a stop and is healthy: from now on its end is reported again.
  if (number == run_number_ && pending_stops_ == 0) expected_exit_ = std::min(expected_exit_, number - 1);
  co_return Result<void>{};
}

asio::awaitable<Result<void>> Application::start() {
  if (is_running() && healthy_run_ == run_number_) co_return Result<void>{};
  const auto now = std::chrono::steady_clock::now();
  if (failed_start_ && now < failed_start_->at + kStartBackoff)
    co_return std::unexpected(failed_start_->error);
  const runner::TimeBudget remaining(config_.load_limit);
  Result<void> started = co_await start_run();
  const Duration health_limit = remaining();
  if (started && service_) started = co_await wait_until_healthy(health_limit);
  failed_start_.reset();
  if (started) co_return started;
  Error error = with_diagnostics(started.error());
  if (!closing_) failed_start_ = FailedStart{.at = std::chrono::steady_clock::now(), .error = error};
  co_return std::unexpected(std::move(error));
}

asio::awaitable<Result<void>> Application::attach(bool start_new) {
  while (attaching_) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  if (is_running()) co_return Result<void>{};
  if (closing_) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  attaching_ = true;
  const std::optional<runner::RecordedProcess> no_process;
  const Result<void> begun = co_await begin_run(start_new, no_process);
  attaching_ = false;
  changed_.cancel();
  co_return begun;
}

asio::awaitable<Result<void>> Application::begin_run(bool start_new,
                                                     std::optional<runner::RecordedProcess> known) {
  parked_pids_.clear();  // of an earlier run
  const auto executor = io_.get_executor();
  runner::RunOptions options = run_options(++run_number_);
  runner::StartResult run = nullptr;
  if (start_new)
    run = co_await runner::start(executor, config_, std::move(options));
  else
    run = co_await runner::find(executor, config_, std::move(options), known);
  run_has_begun_ = run && *run;
  if (!run) co_return std::unexpected(run.error());
  if (!*run) co_return fail(ErrorCode::not_found, "it does not run");
  runner_ = std::move(*run);
  note_change_of_all();
  started_externally_ = !start_new;
  const std::optional<int> pid = runner_->identity().pid;
  const std::optional<http::Endpoint> where = runner_->endpoint();
  if (start_new && on_started_ && pid) on_started_(*pid, where ? std::optional(where->port) : std::nullopt);
  if (has_service()) co_return make_service();
  co_return Result<void>{};
}

runner::RunOptions Application::run_options(std::uint64_t number) {
  runner::RunOptions options{
      .log_lines = log_lines_,
      .url = config_.service.url,
      .start_limit = config_.load_limit,
      .on_exit = [this, number](const runner::ExitStatus& status) { on_run_ended(status, number); },
      .outlives_daemon = !mark_.empty()};
  if (!mark_.empty()) {
    options.env[runner::kMarkVariable] = mark_ + " " + config_.name;
    options.env[runner::kStarterVariable] = runner::to_string(runner::current_daemon_instance());
  }
  options.mark = mark_;
  if (bind_devices_) options.devices = bind_devices_();
  in_background_ = false;
  if (on_background_) on_background_(0);
  options.on_background = [this](int pid) {
    in_background_ = true;
    if (on_background_) on_background_(pid);
  };
  return options;
}

asio::awaitable<Result<void>> Application::adopt(runner::RecordedProcess known) {
  const Result<void> begun = co_await begin_run(false, known);
  if (!begun && !is_running()) co_return begun;
  if (begun && !has_service()) co_return Result<void>{};
  std::string obstacle;
  if (!begun) {
    obstacle = begun.error().detail;
  } else {
    const auto service = service_;
    const service::Health health = co_await service->check_health();
    const Result<void> own = check_address_is_own();
    if (health.state == service::Health::State::up && own) co_return Result<void>{};
    obstacle = own ? "its service is not healthy: " + health.reason : own.error().detail;
  }
  const Duration limit = config_.stop_limit;
  const Result<void> stopped = co_await stop_run(limit);
  if (!stopped) co_return fail(stopped.error().code, obstacle + "; " + stopped.error().detail);
  co_return fail(ErrorCode::service_down, obstacle);
}

// The error with how the process ended and its last log lines.
Error Application::with_diagnostics(Error error) const {
  if (error.code == ErrorCode::service_down) error.code = ErrorCode::load_failed;
  error.detail = config_.name + ": " + error.detail;
  error.detail = config::hide_values(error.detail, config_.environment);
  if (!runner_ || !run_has_begun_) return error;
  const bool ended_by_itself =
      in_background_ || (runner_->exit_status() && runner_->exit_status()->code == 0);
  if (ended_by_itself) error.detail += "; its command ended: it must stay in the foreground";
  if (const auto& exit = runner_->exit_status(); exit) {
    error.detail += "; its process " + runner::to_string(*exit);
    for (const std::string& line : runner_->log_tail(log_lines_))
      if (service::log_says_out_of_memory(config_.service.type, line)) error.code = ErrorCode::out_of_memory;
  }
  const auto lines = runner_->log_tail(kErrorLogLines);
  if (!lines.empty()) error.detail += "; last log lines:";
  for (const std::string& line : lines) error.detail += "\n" + config::hide_values(line, config_.environment);
  return error;
}

}  // namespace mgpu::engine
