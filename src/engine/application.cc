#include "engine/application.h"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.h"
#include "config/hidden_values.h"
#include "config/services.h"
#include "gpu/tcp_sockets.h"
#include "http/addresses.h"
#include "http/connection.h"
#include "runner/port.h"

namespace mgpu::engine {
namespace asio = boost::asio;

namespace {

bool has_tcp_listener(const http::Endpoint& endpoint) {
  return std::ranges::any_of(http::known_addresses(endpoint.host), [&](const std::string& address) {
    return !gpu::find_tcp_listeners(address, endpoint.port).empty();
  });
}

}  // namespace

std::optional<std::uint16_t> external_port(const config::ConsumerConfig& config) {
  if (!config::is_external(config) || config.service.type == config::ServiceType::none) return std::nullopt;
  const auto endpoint = runner::local_endpoint(config.service.url, std::nullopt);
  return endpoint ? std::optional(endpoint->port) : std::nullopt;
}

Application::Application(asio::io_context& io, const config::ConsumerConfig& config, std::size_t log_lines,
                         std::function<void(Error)> on_lost)
    : io_(io),
      config_(config),
      log_lines_(log_lines),
      on_lost_(std::move(on_lost)),
      started_externally_(is_external()),
      changed_(io, asio::steady_timer::time_point::max()) {
  if (!has_service() || !is_external()) return;
  const auto made = make_service();
  MGPU_ASSERT(made, "set-up has made an external service from the same configuration before");
}

void Application::outlive_daemon(std::string mark,
                                 std::function<void(int, std::optional<std::uint16_t>)> on_started) {
  mark_ = std::move(mark);
  on_started_ = std::move(on_started);
}

void Application::restrict_devices(std::function<runner::DeviceBinding()> bind) {
  bind_devices_ = std::move(bind);
}

bool Application::has_service() const { return config_.service.type != config::ServiceType::none; }

std::optional<http::Endpoint> Application::endpoint() const {
  if (!has_service() || (!is_external() && !is_running())) return std::nullopt;
  return service_endpoint();
}

std::optional<http::Endpoint> Application::service_endpoint() const {
  return runner_ ? runner_->endpoint() : runner::local_endpoint(config_.service.url, std::nullopt);
}

runner::RunIdentity Application::identity() const {
  runner::RunIdentity identity = runner_ ? runner_->identity() : runner::RunIdentity{};
  // A unit's processes belong to it also before a poll has found the unit running.
  if (config_.systemd) identity.unit = config_.systemd->unit;
  return identity;
}

std::vector<std::string> Application::log_tail() const {
  std::vector<std::string> lines = runner_ ? runner_->log_tail(log_lines_) : std::vector<std::string>{};
  for (std::string& line : lines) line = config::hide_values(line, config_.environment);
  return lines;
}

Result<void> Application::make_service() {
  auto where = service_endpoint();
  if (!where)
    return fail(ErrorCode::invalid_config,
                "where its service listens is unknown: no port is known for \"" + config_.service.url + "\"");
  auto made = service::make_service(config_.service, *std::move(where));
  if (!made) return std::unexpected(made.error());
  service_ = std::move(*made);
  return {};
}

// An answer at the address of a run may come from another program.
Result<void> Application::check_address_is_own() {
  const auto endpoint = service_endpoint();
  if (!runner_ || !endpoint) return {};
  // Most often the main process itself listens; looking for another reads the descriptors of all processes.
  if (const auto pid = runner_->identity().pid; pid && runner::find_listener_among({*pid}, *endpoint))
    return {};
  return runner::check_port_is_own(*endpoint, [this](int pid) { return runner_->owns_process(pid); });
}

void Application::find_listener() {
  const auto endpoint = service_endpoint();
  if (!endpoint) return;
  // Finding it reads the descriptors of all processes: not again while the one that was found listens, or
  // somebody who could not be inspected.
  if (listener_ && listener_->pid != 0 && runner::find_listener_among({listener_->pid}, *endpoint)) return;
  if (listener_ && listener_->pid == 0 && has_tcp_listener(*endpoint)) return;
  const auto owners = runner::find_port_owners(*endpoint);
  listener_ = owners.empty() ? std::nullopt : std::optional(owners.front());
}

asio::awaitable<ServiceSnapshot> Application::poll_service() {
  ServiceSnapshot seen;
  if (is_external()) find_listener();
  if (!is_external() && is_discoverable() && !is_running())
    (void)co_await attach(false);  // an error means that it does not run
  if ((!is_external() && !is_running()) || !parked_pids_.empty()) co_return seen;
  seen.started_externally = started_externally_;
  if (!service_) {
    seen.state = ServiceSnapshot::State::up;
    co_return seen;
  }
  const auto service = service_;
  // A list of several AI models proves that it is up.
  if (!has_several_ai_models(config_.service)) {
    const service::Health health = co_await service->check_health();
    if (health.state == service::Health::State::up) seen.state = ServiceSnapshot::State::up;
    if (health.state == service::Health::State::loading) co_return seen;
  } else {
    seen.state = ServiceSnapshot::State::up;
  }
  if (seen.state == ServiceSnapshot::State::up) seen = co_await list_service(service, std::move(seen));
  if (seen.state == ServiceSnapshot::State::up || !is_external()) co_return seen;
  const bool closed = co_await is_port_closed();
  if (closed) {
    seen.state = ServiceSnapshot::State::unreachable;
    started_externally_ = true;  // its next run
  }
  co_return seen;
}

asio::awaitable<ServiceSnapshot> Application::list_service(std::shared_ptr<service::Service> service,
                                                           ServiceSnapshot seen) {
  const auto listed = co_await service->list_ai_models();
  if (!listed) {
    seen.state = ServiceSnapshot::State::unknown;
    co_return seen;
  }
  seen.reports_residency = !listed->empty() || has_several_ai_models(config_.service);
  seen.loads_lazily = service->loads_lazily();
  for (const service::AiModel& ai_model : *listed) {
    if (!ai_model.name.empty()) seen.ai_models.push_back(ai_model.name);
    if (ai_model.file_bytes) seen.file_bytes.emplace_back(ai_model.name, *ai_model.file_bytes);
    const Presence presence = service::presence_of(ai_model);
    if (presence != Presence::cold)
      seen.present.push_back(
          {.ai_model = ai_model.name, .presence = presence, .bytes = ai_model.bytes.value_or(Bytes{})});
  }
  co_return seen;
}

// A service that only answers slowly still accepts connections.
asio::awaitable<bool> Application::is_port_closed() {
  const auto where = service_endpoint();
  if (!where) co_return false;
  http::Endpoint endpoint = *where;
  const Duration limit = service::kQueryLimit;
  const auto connection = co_await http::Connection::connect(io_.get_executor(), std::move(endpoint), limit);
  co_return !connection.has_value();
}

bool Application::has_changed_since(std::uint64_t change_count, const std::string& ai_model) const {
  const auto changed = changes_.find(ai_model);
  return change_of_all_ > change_count || (changed != changes_.end() && changed->second > change_count);
}

// For external services and for services that hang: the end of a run is reported by its runner.
asio::awaitable<bool> Application::is_service_down() {
  if (!service_ || (!is_external() && !is_running()) || !parked_pids_.empty()) co_return false;
  const std::uint64_t before = change_count_;
  const auto service = service_;
  const service::Health health = co_await service->check_health();
  co_return health.state == service::Health::State::down&& before == change_count_;
}

asio::awaitable<std::uint32_t> Application::count_active_requests() {
  if (!service_ || (!is_external() && !is_running())) co_return 0U;
  const auto service = service_;
  const auto count = co_await service->count_active_requests();
  co_return count.value_or(0);
}

asio::awaitable<Result<void>> Application::shut_down() {
  closing_ = true;
  changed_.cancel();
  while (attaching_) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  if (runner_ && !runner_->is_owned()) co_return Result<void>{};
  const Duration limit = config_.stop_limit;
  co_return co_await stop_run(limit);
}

void Application::close() {
  closing_ = true;
  on_lost_ = nullptr;
  changed_.cancel();
  runner_.reset();  // kills what is left of a process' group
}

}  // namespace mgpu::engine
