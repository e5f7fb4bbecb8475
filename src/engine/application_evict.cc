// How an application frees device memory: park, unload, stop, kill. And what follows when its run ends
// without a request.
#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "config/hidden_values.h"
#include "engine/application.h"
#include "service/out_of_memory.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// The core decides when the stop rung has taken too long; the runner's limit is longer, as a second bound.
constexpr std::chrono::seconds kStopGrace{2};

}  // namespace

asio::awaitable<Result<void>> Application::evict(Rung rung, std::string ai_model) {
  const bool ends_run = rung == Rung::stop || rung == Rung::kill;
  const auto note = [&] { ends_run ? note_change_of_all() : note_change(ai_model); };
  note();
  started_externally_ = false;
  const Duration limit = config_.stop_limit;
  const auto service = service_;
  Result<void> result{};
  if (rung == Rung::kill) {
    result = co_await kill_run();
  } else if (rung == Rung::stop) {
    const Duration longer = limit + kStopGrace;
    result = co_await stop_run(longer);
  } else if (!is_external() && !is_running()) {
    // It has ended, and holds no memory.
  } else if (rung == Rung::park) {
    result = co_await park(ai_model, limit);
  } else if (!parked_pids_.empty()) {
    // Its service hangs until it is resumed, which needs device memory.
    result = fail(ErrorCode::not_supported,
                  config_.name + " is parked by cuda-checkpoint: it can be stopped, but not unloaded");
  } else if (!service) {
    result = fail(ErrorCode::not_supported,
                  config_.name + " has no service that could unload: it can only be stopped");
  } else {
    result = co_await service::unload_if_loaded(*service, config_.service, ai_model, limit);
  }
  // A service that died during the request, or ran nowhere, holds no memory.
  if (!result && !is_external() && !is_running()) result = {};
  if (!result && is_external() && !ends_run) {
    const bool closed = co_await is_port_closed();
    if (closed) result = {};
  }
  note();
  co_return result;
}

asio::awaitable<Result<void>> Application::stop_run(Duration limit) {
  const auto runner = runner_;
  if (!runner) co_return Result<void>{};
  expected_exit_ = run_number_;
  ++pending_stops_;
  const Result<void> result = co_await runner->stop(limit);
  --pending_stops_;
  changed_.cancel();
  co_return result;
}

asio::awaitable<Result<void>> Application::kill_run() {
  const auto runner = runner_;
  if (!runner) co_return Result<void>{};
  expected_exit_ = run_number_;
  ++pending_stops_;
  const Result<void> result = co_await runner->kill();
  --pending_stops_;
  changed_.cancel();
  co_return result;
}

void Application::on_run_ended(const runner::ExitStatus& status, std::uint64_t number) {
  note_change_of_all();
  if (closing_ || number <= expected_exit_ || !on_lost_) return;
  clean_up_after_crash();
  Error error{ErrorCode::service_down, config_.name + ": its process " + runner::to_string(status)};
  const auto oom_line = std::ranges::find_if(status.log, [this](const std::string& line) {
    return service::log_says_out_of_memory(config_.service.type, line);
  });
  if (oom_line != status.log.end())
    error = {ErrorCode::out_of_memory,
             error.detail + "; its log says: " + config::hide_values(*oom_line, config_.environment)};
  on_lost_(std::move(error));
}

// The leader died, but its children may live and hold device memory. The next load waits until they are gone.
void Application::clean_up_after_crash() {
  const auto ignore_result = [runner = runner_](const std::exception_ptr&, const Result<void>&) {};
  asio::co_spawn(io_, kill_run(), ignore_result);
}

}  // namespace mgpu::engine
