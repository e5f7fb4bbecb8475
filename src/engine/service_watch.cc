#include "engine/service_watch.h"

#include <utility>

#include "config/services.h"
#include "sched/step.h"
#include "service/service.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kPollInterval{5};

bool is_cold_or_failed(const Registry& registry, ResidentId resident) {
  const Residency state = registry[resident].state;
  return state == Residency::cold || state == Residency::failed;
}

}  // namespace

ServiceWatch::ServiceWatch(Parts parts) : parts_(parts) {}

std::uint64_t ServiceWatch::uninvited_loads(ConsumerId consumer) const {
  const auto found = uninvited_.find(consumer);
  return found == uninvited_.end() ? 0 : found->second.count();
}

void ServiceWatch::start() {
  for (std::size_t i = 0; i < parts_.applications.size(); ++i)
    if (parts_.applications[ConsumerId{i}].is_polled()) parts_.tasks.spawn(run_poll_loop(ConsumerId{i}));
}

// Polls external services, units and containers: what they hold without a load by the daemon counts as
// loaded, and the AI models that they offer are recorded. A service whose process the daemon runs is polled
// for its offers only, and only while it runs.
asio::awaitable<void> ServiceWatch::run_poll_loop(ConsumerId consumer) {
  // Before the first reading any resident found would appear not to fit, and would be evicted.
  const World& world = parts_.loop.world();
  const DeviceId device = world.registry[consumer].spec.device;
  while (!parts_.loop.is_closed() && world.registry.readings[device.value].taken_at == Instant{})
    co_await parts_.loop.wait_for_change();
  while (!parts_.loop.is_closed() && !world.draining) {
    co_await poll(consumer);
    if (parts_.loop.is_closed()) co_return;
    const Duration length = kPollInterval;
    co_await parts_.applications[consumer].sleep_for(length);
  }
}

asio::awaitable<void> ServiceWatch::look_now(ConsumerId consumer) {
  const Application& watched = parts_.applications[consumer];
  if (watched.is_polled() && watched.endpoint()) co_await poll(consumer);
}

asio::awaitable<void> ServiceWatch::poll(ConsumerId consumer) {
  Application& watched = parts_.applications[consumer];
  const std::uint64_t generation = watched.generation();
  const ServiceSnapshot seen = co_await watched.poll_service();
  // The poll's result may be older than a load or an eviction that happened meanwhile.
  const auto is_outdated = [&] { return parts_.loop.is_closed() || generation != watched.generation(); };
  if (!seen.up || is_outdated()) co_return;
  parts_.targets.replace_listed(consumer, seen.ai_models);
  parts_.targets.note_file_bytes(consumer, seen.file_bytes);
  report_sizes(consumer, seen);
  if (!watched.is_discoverable()) co_return;
  const bool tracks_uninvited = has_several_ai_models(parts_.config.consumer(consumer)->service);
  const Registry& registry = parts_.loop.world().registry;
  std::vector<ResidentId> found;
  for (const ResidentId resident : warm_residents(consumer, seen))
    if (is_cold_or_failed(registry, resident)) found.push_back(resident);
  if (!found.empty()) {
    // Its memory may have been counted as foreign so far. It must not count twice.
    co_await parts_.devices.wait_for_fresh_readings(consumer);
    if (is_outdated()) co_return;
    for (const ResidentId resident : found)
      if (report_found_warm(resident) && tracks_uninvited) uninvited_[consumer].record(registry, resident);
  }
  if (!tracks_uninvited) co_return;
  uninvited_[consumer].set_baseline();
  co_await evict_uninvited(consumer);
}

// Passes on the sizes that the service reports of what it has loaded, as long as they are the best that is
// known.
void ServiceWatch::report_sizes(ConsumerId consumer, const ServiceSnapshot& seen) {
  const Registry& registry = parts_.loop.world().registry;
  const config::ServiceType type = parts_.config.consumer(consumer)->service.type;
  for (const auto& [name, bytes] : seen.warm) {
    const std::string ai_model = service::canonical_name(type, name);
    for (const ResidentId id : registry[consumer].residents)
      if (registry[id].ai_model == ai_model && registry[id].costs.footprint == Bytes{} && bytes > Bytes{})
        parts_.loop.dispatch(SizeReported{.resident = id, .bytes = bytes});
  }
}

bool ServiceWatch::report_found_warm(ResidentId resident) {
  const Registry& registry = parts_.loop.world().registry;
  if (!is_cold_or_failed(registry, resident)) return false;
  parts_.devices.note_found_warm(registry[resident].consumer);
  parts_.loop.dispatch(ResidentFound{resident, Presence::warm});
  return true;
}

std::vector<ResidentId> ServiceWatch::warm_residents(ConsumerId consumer, const ServiceSnapshot& seen) {
  const config::ConsumerSnapshot config = parts_.config.consumer(consumer);
  const config::ServiceConfig& service = config->service;
  const Registry& registry = parts_.loop.world().registry;
  std::vector<ResidentId> warm;
  if (has_several_ai_models(service)) {
    for (const auto& [name, bytes] : seen.warm) {
      // A service that lists ever new names must not let the world grow without bound.
      if (warm.size() >= kMaxListedAiModels || name.size() > kMaxAiModelLength) continue;
      if (registry[consumer].residents.size() >= 2 * kMaxListedAiModels) break;
      const std::string ai_model = service::canonical_name(service.type, name);
      const Bytes footprint = bytes > Bytes{} ? bytes : config->footprint;
      warm.push_back(parts_.targets.find_or_add_resident(consumer, ai_model, footprint));
    }
    return warm;
  }
  // A service that was started externally and needs no load request is warm as soon as it is up.
  const bool is_warm = seen.reports_residency ? !seen.warm.empty() : seen.started_externally && !service.load;
  if (is_warm) warm.push_back(registry[consumer].residents.front());
  return warm;
}

asio::awaitable<void> ServiceWatch::evict_uninvited(ConsumerId consumer) {
  UninvitedLoads& uninvited = uninvited_[consumer];
  uninvited.drop_used(parts_.loop.world().registry);
  const bool must_leave = parts_.config.consumer(consumer)->uninvited == config::UninvitedPolicy::leave;
  if (!must_leave || !uninvited.has_unused()) co_return;
  const std::uint32_t active_requests = co_await parts_.applications[consumer].count_active_requests();
  if (active_requests > 0 || parts_.loop.is_closed()) co_return;
  for (const ResidentId resident : uninvited.take_unused())
    if (check_eviction(parts_.loop.world(), resident, false))
      parts_.loop.dispatch(EvictionRequested{.resident = resident});
}

void ServiceWatch::check_suspect(ConsumerId consumer, std::string reason) {
  parts_.tasks.spawn(ask_suspect(consumer, std::move(reason)));
}

asio::awaitable<void> ServiceWatch::ask_suspect(ConsumerId consumer, std::string reason) {
  const bool is_down = co_await parts_.applications[consumer].is_service_down();
  if (!is_down) co_return;
  std::string why = parts_.loop.world().registry[consumer].spec.name + ": " + reason;
  parts_.loop.dispatch(ServiceLost{.consumer = consumer, .error = {ErrorCode::service_down, std::move(why)}});
}

}  // namespace mgpu::engine
