#include "service/service.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/ascii.h"
#include "service/credential.h"
#include "service/service_base.h"

namespace mgpu::service {

namespace asio = boost::asio;
using config::ServiceType;

namespace {

struct ServiceFactory {
  ServiceType type;
  std::unique_ptr<Service> (*make)(Address, const config::ServiceConfig&);
};
constexpr ServiceFactory kServiceFactories[] = {
#define MGPU_SERVICE(id, ...) {ServiceType::id, make_##id},
#include "config/services.inc"
};

}  // namespace

Result<std::unique_ptr<Service>> make_service(const config::ServiceConfig& config, http::Endpoint endpoint) {
  const auto factory = std::ranges::find(kServiceFactories, config.type, &ServiceFactory::type);
  if (factory == std::end(kServiceFactories)) return std::unique_ptr<Service>{};
  Address address{.endpoint = std::move(endpoint)};
  auto credential = read_credential(config);
  if (!credential) return std::unexpected(credential.error());
  if (*credential) address.credential_headers.push_back(**std::move(credential));
  return factory->make(std::move(address), config);
}

std::string canonical_name(ServiceType type, std::string_view ai_model) {
  std::string name(ai_model);
  const auto last = name.rfind('/');  // a colon before the last slash belongs to a registry's port
  const auto colon = name.find(':', last == name.npos ? 0 : last);
  if (!name.empty() && colon == name.npos) name += config::service_traits(type).default_tag;
  return name;
}

std::string name_key(ServiceType type, std::string_view ai_model) {
  const config::ServiceTraits& traits = config::service_traits(type);
  for (const std::string_view prefix : traits.implied_prefixes) {
    if (!starts_with_ignore_case(ai_model, prefix)) continue;
    ai_model.remove_prefix(prefix.size());
    break;
  }
  std::string key = canonical_name(type, ai_model);
  if (traits.ignores_case) std::ranges::transform(key, key.begin(), to_lower);
  return key;
}

Presence presence_of(const AiModel& ai_model) {
  if (ai_model.resident) return Presence::warm;
  if (ai_model.loading) return Presence::loading;
  return ai_model.parked ? Presence::parked : Presence::cold;
}

Presence presence_in(const std::vector<AiModel>& listed, const config::ServiceConfig& config,
                     std::string_view ai_model) {
  const bool has_several = has_several_ai_models(config);
  const std::string key = name_key(config.type, ai_model);
  Presence nearest = Presence::cold;
  for (const AiModel& entry : listed) {
    if (has_several && name_key(config.type, entry.name) != key) continue;
    const Presence presence = presence_of(entry);
    if (presence == Presence::warm) return presence;
    if (presence != Presence::cold) nearest = presence;
  }
  return nearest;
}

asio::awaitable<Result<void>> unload_if_loaded(Service& service, const config::ServiceConfig& config,
                                               const std::string& ai_model, Duration limit) {
  const Result<void> unloaded = co_await service.unload(ai_model, limit);
  if (unloaded || unloaded.error().code == ErrorCode::not_supported) co_return unloaded;
  const auto listed = co_await service.list_ai_models();
  // Without a list nothing says that it is loaded, but an unknown AI model can't be.
  if (!listed || (listed->empty() && !has_several_ai_models(config))) {
    if (unloaded.error().code == ErrorCode::not_found) co_return Result<void>{};
    co_return unloaded;
  }
  const Presence presence = presence_in(*listed, config, ai_model);
  if (presence == Presence::cold || presence == Presence::parked) co_return Result<void>{};
  co_return unloaded;
}

asio::awaitable<Result<void>> wait_healthy(Service& service, Duration limit,
                                           std::function<bool()> still_alive) {
  const auto executor = co_await asio::this_coro::executor;
  const auto deadline = std::chrono::steady_clock::now() + limit;
  asio::steady_timer timer(executor);
  for (auto pause = std::chrono::milliseconds(20);;
       pause = std::min(pause * 2, std::chrono::milliseconds(500))) {
    const auto health = co_await service.check_health();
    if (health.state == Health::State::up) co_return Result<void>{};
    if (still_alive && !still_alive())
      co_return fail(ErrorCode::load_failed, "its process ended before the service was healthy");
    const auto now = std::chrono::steady_clock::now();
    if (now >= deadline) {
      co_return fail(ErrorCode::load_failed,
                     "not healthy within " + to_string(limit) + "; last answer: " + health.reason);
    }
    timer.expires_at(std::min(now + pause, std::chrono::time_point_cast<std::chrono::nanoseconds>(deadline)));
    co_await timer.async_wait(asio::use_awaitable);
  }
}

}  // namespace mgpu::service
