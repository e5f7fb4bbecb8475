// How an application gets into device memory: a run of it, a healthy service, a load.
#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <fmt/ranges.h>

#include "config/services.h"
#include "engine/application.h"
#include "runner/process_recovery.h"
#include "runner/time_budget.h"
#include "service/out_of_memory.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr std::size_t kLinesInAnError = 5;
constexpr const char* kVisibleDevices = "CUDA_VISIBLE_DEVICES";

// AMD's UUIDs look alike, but are shorter, and no name that CUDA's variable knows.
bool is_nvidia(const std::string& uuid) {
  constexpr std::size_t kLength = 40;  // GPU-51304c70-0000-4000-8000-000000000001
  return uuid.starts_with("MIG-") || (uuid.starts_with("GPU-") && uuid.size() == kLength);
}

}  // namespace

asio::awaitable<Result<void>> Application::load(std::string ai_model, bool from_parked) {
  ++changes_;
  by_itself_ = false;
  bool asked = false;
  Result<void> result = co_await load_started(ai_model, from_parked, asked);
  if (!result) result = std::unexpected(explained(result.error()));
  // A service of many AI models that merely could not load one of them is as good as before.
  const bool still_of_use = asked && runs() && has_several_ai_models(config_.service);
  const bool in_use = runs() && in_use_ && in_use_();
  if (!result && !external() && !still_of_use && !in_use) {
    Error why = result.error();
    result = co_await stop_after_failed_load(std::move(why));
  }
  ++changes_;
  co_return result;
}

// Its end is ours, and so it falls to us to say that its other AI models go with it. Before it begins, so
// that nobody is sent to one of them meanwhile.
asio::awaitable<Result<void>> Application::stop_after_failed_load(Error why) {
  if (runs() && !closing_ && has_several_ai_models(config_.service) && lost_)
    lost_({ErrorCode::service_down, config_.name + ": its process is stopped, since a load failed in it"});
  const Duration limit = config_.stop_limit;
  const Result<void> stopped = co_await stop_run(limit);
  if (!stopped) why.detail += "; " + stopped.error().detail;
  co_return std::unexpected(std::move(why));
}

asio::awaitable<Result<void>> Application::load_started(std::string ai_model, bool from_parked, bool& asked) {
  const runner::TimeBudget remaining(config_.load_limit);
  while (stopping_ > 0 && !closing_) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  if (closing_) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  const bool fresh = !external() && !runs();
  if (fresh) {
    const Result<void> attached = co_await attach(true);
    if (!attached) co_return attached;
    if (closing_) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  }
  const bool was_put_aside = !put_aside_.empty();
  if (was_put_aside) {
    const Duration limit = remaining();
    const Result<void> back = co_await bring_back(limit);
    if (!back) co_return back;
  }
  if (!service_) co_return Result<void>{};

  const auto service = service_;
  const std::uint64_t number = run_number_;
  const std::function<bool()> alive = [this, number] {
    return !closing_ && (external() || (runs() && number == run_number_));
  };
  const Duration health_limit = remaining();
  const Result<void> healthy = co_await service::wait_healthy(*service, health_limit, alive);
  if (!healthy) co_return healthy;
  // It was to be stopped and lives on: from now on its end is a surprise again.
  if (number == run_number_ && stopping_ == 0) expected_exit_ = std::min(expected_exit_, number - 1);
  asked = true;
  const Duration load_limit = remaining();
  if (was_put_aside) co_return Result<void>{};  // as it was, AI model and all
  if (from_parked && !fresh) co_return co_await service->resume(ai_model, load_limit);
  co_return co_await service->load(ai_model, load_limit);
}

asio::awaitable<Result<void>> Application::attach(bool start_it) {
  while (attaching_) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  if (runs()) co_return Result<void>{};
  if (closing_) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  attaching_ = true;
  const std::optional<runner::RecordedProcess> nobody;
  const Result<void> begun = co_await begin_run(start_it, nobody);
  attaching_ = false;
  changed_.cancel();
  co_return begun;
}

asio::awaitable<Result<void>> Application::begin_run(bool start_it,
                                                     std::optional<runner::RecordedProcess> known) {
  put_aside_.clear();  // died with the run that had them
  const auto executor = io_.get_executor();
  runner::RunOptions options = run_options(++run_number_);
  runner::StartResult run = nullptr;
  if (start_it)
    run = co_await runner::start(executor, config_, std::move(options));
  else
    run = co_await runner::find(executor, config_, std::move(options), known);
  if (!run) co_return std::unexpected(run.error());
  if (!*run) co_return fail(ErrorCode::not_found, "it does not run");
  runner_ = std::move(*run);
  by_itself_ = !start_it;
  const std::optional<int> pid = runner_->identity().pid;
  if (start_it && started_ && pid) started_(*pid, runner_->port());
  if (has_service()) co_return make_service();
  co_return Result<void>{};
}

runner::RunOptions Application::run_options(std::uint64_t number) {
  runner::RunOptions options{
      .log_lines = log_lines_,
      .needs_port = config_.service.url.find("${PORT}") != std::string::npos,
      .start_limit = config_.load_limit,
      .on_exit = [this, number](const runner::ExitStatus& status) { run_ended(status, number); },
      .outlives_daemon = !mark_.empty()};
  if (!mark_.empty()) {
    options.env[runner::kMarkVariable] = mark_ + " " + config_.name;
    options.env[runner::kStarterVariable] = runner::to_string(runner::current_daemon_instance());
  }
  if (!seen_devices_ || config_.process->env.contains(kVisibleDevices)) return options;
  const std::vector<std::string> devices = seen_devices_();
  if (std::ranges::all_of(devices, is_nvidia))
    options.env[kVisibleDevices] = fmt::format("{}", fmt::join(devices, ","));
  return options;
}

asio::awaitable<Result<void>> Application::adopt(runner::RecordedProcess known) {
  const Result<void> begun = co_await begin_run(false, known);
  if (!begun && !runs()) co_return begun;
  if (begun && !has_service()) co_return Result<void>{};
  std::string why;
  if (!begun) {
    why = begun.error().detail;
  } else {
    const auto service = service_;
    const service::Health health = co_await service->check_health();
    if (health.state == service::Health::State::up) co_return Result<void>{};
    why = "its service is not healthy: " + health.reason;
  }
  const Duration limit = config_.stop_limit;
  const Result<void> stopped = co_await stop_run(limit);
  if (!stopped) co_return fail(stopped.error().code, why + "; " + stopped.error().detail);
  co_return fail(ErrorCode::service_down, why);
}

// Why, for the person who reads it at night: with how the process ended and what it said last.
Error Application::explained(Error error) const {
  if (error.code == ErrorCode::service_down) error.code = ErrorCode::load_failed;
  error.detail = config_.name + ": " + error.detail;
  if (!runner_) return error;
  if (const auto& exit = runner_->exit_status(); exit) {
    error.detail += "; its process " + runner::to_string(*exit);
    for (const std::string& line : runner_->log_tail(log_lines_))
      if (service::log_says_out_of_memory(config_.service.type, line)) error.code = ErrorCode::out_of_memory;
  }
  const auto lines = runner_->log_tail(kLinesInAnError);
  if (!lines.empty()) error.detail += "; last log lines:";
  for (const std::string& line : lines) error.detail += "\n" + line;
  return error;
}

}  // namespace mgpu::engine
