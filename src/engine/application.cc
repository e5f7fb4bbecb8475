#include "engine/application.h"

#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/assert.h"
#include "service/fetch.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

std::string url_with_port(std::string url, std::optional<std::uint16_t> port) {
  constexpr std::string_view kPlace = "${PORT}";
  if (const auto at = url.find(kPlace); at != std::string::npos && port)
    url.replace(at, kPlace.size(), std::to_string(*port));
  return url;
}

}  // namespace

std::optional<std::uint16_t> external_port(const config::ConsumerConfig& config) {
  if (!config::is_external(config) || config.service.type == config::ServiceType::none) return std::nullopt;
  const auto address = service::parse_address(config.service.url);
  if (!address) return std::nullopt;
  return address->port;
}

Application::Application(asio::io_context& io, const config::ConsumerConfig& config, std::size_t log_lines,
                         std::function<void(Error)> lost)
    : io_(io),
      config_(config),
      log_lines_(log_lines),
      lost_(std::move(lost)),
      changed_(io, asio::steady_timer::time_point::max()),
      pause_(io) {
  if (!has_service() || !external()) return;
  const auto made = make_service();
  MGPU_ASSERT(made, "what an external service is made of was tried when the world was set up");
}

void Application::keep_beyond_us(std::string mark,
                                 std::function<void(int, std::optional<std::uint16_t>)> started) {
  mark_ = std::move(mark);
  started_ = std::move(started);
}

void Application::see_only(std::function<std::vector<std::string>()> devices) {
  seen_devices_ = std::move(devices);
}

bool Application::has_service() const { return config_.service.type != config::ServiceType::none; }

std::optional<Endpoint> Application::endpoint() const {
  if (!has_service() || (!external() && !runs())) return std::nullopt;
  const auto port = runner_ ? runner_->port() : std::nullopt;
  const auto address = service::parse_address(url_with_port(config_.service.url, port));
  if (!address) return std::nullopt;
  return Endpoint{.host = address->host, .port = address->port, .path = address->path_prefix};
}

runner::RunIdentity Application::identity() const {
  if (runs()) return runner_->identity();
  // What somebody else started of it is its, too, before we have looked.
  return {.unit = config_.systemd ? config_.systemd->unit : ""};
}

std::vector<std::string> Application::log_tail() const {
  return runner_ ? runner_->log_tail(log_lines_) : std::vector<std::string>{};
}

Result<void> Application::make_service() {
  const auto port = runner_ ? runner_->port() : std::nullopt;
  auto made = service::make_service(config_.service, port);
  if (!made) return std::unexpected(made.error());
  service_ = std::move(*made);
  return {};
}

asio::awaitable<Sighting> Application::look() {
  Sighting seen;
  if (!external() && may_be_found() && !runs()) (void)co_await attach(false);  // who is not found is not up
  if ((!external() && !runs()) || !put_aside_.empty()) co_return seen;
  seen.by_itself = external() || by_itself_;
  seen.up = !service_;
  if (!service_) co_return seen;
  const auto service = service_;
  const service::Health health = co_await service->check_health();
  if (health.state != service::Health::State::up) co_return seen;
  seen.up = true;
  const auto listed = co_await service->list_ai_models();
  if (listed) {
    seen.tells = !listed->empty();
    for (const service::AiModel& ai_model : *listed) {
      if (!ai_model.name.empty()) seen.offered.push_back(ai_model.name);
      if (ai_model.resident) seen.warm.emplace_back(ai_model.name, ai_model.bytes.value_or(Bytes{}));
    }
  }
  co_return seen;
}

// Answers only for services that live on without their run being ours to watch, or that hang: the end of a
// run is noticed by itself.
asio::awaitable<bool> Application::is_gone() {
  if (!service_ || (!external() && !runs()) || !put_aside_.empty()) co_return false;
  const std::uint64_t before = changes_;
  const auto service = service_;
  const service::Health health = co_await service->check_health();
  co_return health.state == service::Health::State::down&& before == changes_;
}

asio::awaitable<std::uint32_t> Application::at_work() {
  if (!service_ || (!external() && !runs())) co_return 0U;
  const auto service = service_;
  const auto count = co_await service->count_active_requests();
  co_return count.value_or(0);
}

asio::awaitable<void> Application::pause(Duration length) {
  if (closing_) co_return;
  pause_.expires_after(length);
  co_await pause_.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<Result<void>> Application::shut_down() {
  closing_ = true;
  pause_.cancel();
  changed_.cancel();
  while (attaching_) co_await changed_.async_wait(asio::as_tuple(asio::use_awaitable));
  if (runner_ && !runner_->is_owned()) co_return Result<void>{};
  const Duration limit = config_.stop_limit;
  co_return co_await stop_run(limit);
}

void Application::close() {
  closing_ = true;
  lost_ = nullptr;
  pause_.cancel();
  changed_.cancel();
  runner_.reset();  // whatever is left of a process' group is killed
}

}  // namespace mgpu::engine
