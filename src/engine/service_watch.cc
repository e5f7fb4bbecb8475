#include "engine/service_watch.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/services.h"
#include "sched/found_state.h"
#include "sched/step.h"
#include "service/service.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// An external service that nothing listens for is lost at the second poll, or at once if its memory is gone.
constexpr unsigned kUnreachablePolls = 2;

bool holds_anything(const Registry& registry, ConsumerId consumer) {
  return std::ranges::any_of(registry[consumer].residents, [&](ResidentId id) {
    return holds_memory(registry[id]) || registry[id].state == Residency::parked;
  });
}

bool brings_memory(const ResidentFound& found) {
  return found.presence == Presence::warm || found.presence == Presence::loading;
}

}  // namespace

ServiceWatch::ServiceWatch(Parts parts) : parts_(parts) {
  for (std::size_t i = 0; i < parts_.applications.size(); ++i) watched_.emplace_back(parts_.io);
}

void ServiceWatch::start() {
  for (std::size_t i = 0; i < parts_.applications.size(); ++i) {
    const Application& application = parts_.applications[ConsumerId{i}];
    // Nothing can be loaded in a process before the daemon has started it.
    if (!application.is_discoverable()) watched_[i].uninvited.set_baseline();
    if (application.is_polled()) parts_.tasks.spawn(run_poll_loop(ConsumerId{i}));
  }
}

void ServiceWatch::close() {
  for (Watched& watched : watched_) watched.pause.cancel();
}

asio::awaitable<void> ServiceWatch::run_poll_loop(ConsumerId consumer) {
  // Before the first reading any resident found would appear not to fit, and would be evicted.
  const World& world = parts_.loop.world();
  const DeviceId device = world.registry[consumer].spec.device;
  while (!parts_.loop.is_closed() && world.registry.readings[device.value].taken_at == Instant{})
    co_await parts_.loop.wait_for_change();
  Watched& watched = watched_[consumer.value];
  while (!parts_.loop.is_closed() && !world.draining) {
    watched.polls_again = false;
    const std::uint64_t number = ++watched.polls_begun;
    co_await poll(consumer);
    watched.polls_ended = number;
    if (parts_.loop.is_closed()) co_return;
    parts_.loop.wake_waiters();
    co_await pause_between_polls(watched);
  }
}

asio::awaitable<void> ServiceWatch::pause_between_polls(Watched& watched) {
  watched.pause.expires_after(kMinPollInterval);
  co_await watched.pause.async_wait(asio::as_tuple(asio::use_awaitable));
  if (watched.polls_again || parts_.loop.is_closed()) co_return;
  watched.may_be_woken = true;
  watched.pause.expires_after(kPollInterval - kMinPollInterval);
  co_await watched.pause.async_wait(asio::as_tuple(asio::use_awaitable));
  watched.may_be_woken = false;
}

void ServiceWatch::poll_soon(ConsumerId consumer) {
  Watched& watched = watched_[consumer.value];
  watched.polls_again = true;
  if (watched.may_be_woken) watched.pause.cancel();
}

asio::awaitable<void> ServiceWatch::poll_now(ConsumerId consumer) {
  const Application& application = parts_.applications[consumer];
  if (!application.is_polled() || !application.endpoint() || parts_.loop.world().draining) co_return;
  const Instant deadline = parts_.loop.now() + kPollTimeout;
  const Watched& watched = watched_[consumer.value];
  const std::uint64_t wanted = watched.polls_begun + 1;
  poll_soon(consumer);
  while (!parts_.loop.is_closed() && watched.polls_ended < wanted && parts_.loop.now() < deadline)
    co_await parts_.loop.wait_for_change(deadline);
}

asio::awaitable<void> ServiceWatch::poll(ConsumerId consumer) {
  Application& application = parts_.applications[consumer];
  const std::uint64_t change_count = application.change_count();
  const Instant asked_at = parts_.loop.now();
  const ServiceSnapshot seen = co_await application.poll_service();
  if (parts_.loop.is_closed()) co_return;
  if (seen.state == ServiceSnapshot::State::unreachable) note_unreachable(consumer);
  Watched& watched = watched_[consumer.value];
  if (seen.state != ServiceSnapshot::State::unreachable) watched.unreachable_polls = 0;
  watched.lists_nothing = seen.state == ServiceSnapshot::State::up && !seen.reports_residency;
  if (seen.state != ServiceSnapshot::State::up) co_return;
  parts_.targets.replace_listed(consumer, seen.ai_models);
  parts_.targets.note_file_bytes(consumer, seen.file_bytes);
  report_sizes(consumer, seen);
  std::optional<Listing> listing = listing_of(consumer, seen, asked_at);
  if (!listing) co_return;
  const bool loads_lazily = seen.loads_lazily;
  co_await report_news(consumer, change_count, *std::move(listing), loads_lazily);
  if (parts_.loop.is_closed() || !has_several_ai_models(parts_.config.consumer(consumer)->service)) co_return;
  watched.uninvited.set_baseline();
  co_await evict_uninvited(consumer);
}

// Passes on the sizes that the service reports of what it has loaded, as long as they are the best that is
// known.
void ServiceWatch::report_sizes(ConsumerId consumer, const ServiceSnapshot& seen) {
  const Registry& registry = parts_.loop.world().registry;
  for (const ServiceSnapshot::Present& present : seen.present) {
    if (present.presence != Presence::warm || present.bytes == Bytes{}) continue;
    const auto resident = parts_.targets.find_resident(consumer, present.ai_model);
    if (resident && registry[*resident].costs.footprint == Bytes{})
      parts_.loop.dispatch(SizeReported{.resident = *resident, .bytes = present.bytes});
  }
}

// Dispatches what is news, unless a load or an eviction by the daemon has changed that AI model since the
// poll began: then the next poll tells.
asio::awaitable<void> ServiceWatch::report_news(ConsumerId consumer, std::uint64_t change_count,
                                                Listing listing, bool loads_lazily) {
  const World& world = parts_.loop.world();
  const std::vector<ResidentFound> news =
      watched_[consumer.value].listed.find_news(world, consumer, listing, loads_lazily);
  // Memory of what was loaded may have been counted as foreign so far. It must not count twice.
  if (std::ranges::any_of(news, brings_memory)) co_await parts_.devices.wait_for_fresh_readings(consumer);
  for (const ResidentFound& found : news) {
    if (parts_.loop.is_closed()) co_return;
    if (!has_changed_since(change_count, found.resident) && is_news(world, found)) report_found(found);
  }
}

bool ServiceWatch::has_changed_since(std::uint64_t change_count, ResidentId resident) const {
  const Resident& known = parts_.loop.world().registry[resident];
  const Application& application = parts_.applications[known.consumer];
  return application.has_changed_since(change_count, known.ai_model) ||
         application.has_changed_since(change_count, parts_.targets.service_name(resident));
}

void ServiceWatch::report_found(const ResidentFound& found) {
  const Resident& resident = parts_.loop.world().registry[found.resident];
  const ConsumerId consumer = resident.consumer;
  const bool is_load = brings_memory(found) && !holds_memory(resident);
  if (brings_memory(found)) parts_.devices.note_found_warm(consumer);
  parts_.loop.dispatch(found);
  if (is_load && has_several_ai_models(parts_.config.consumer(consumer)->service))
    watched_[consumer.value].uninvited.record(parts_.loop.world().registry, found.resident);
}

void ServiceWatch::note_reading(DeviceId device) {
  const Registry& registry = parts_.loop.world().registry;
  for (std::size_t i = 0; i < watched_.size(); ++i) {
    const ConsumerId consumer{i};
    if (!watched_[i].lists_nothing || registry[consumer].spec.device != device) continue;
    if (!watched_[i].memory.observe(registry, consumer)) continue;
    watched_[i].has_dropped = true;
    parts_.loop.dispatch(
        ResidentFound{.resident = registry[consumer].residents.front(), .presence = Presence::cold});
  }
}

void ServiceWatch::note_unreachable(ConsumerId consumer) {
  const Registry& registry = parts_.loop.world().registry;
  const bool memory_is_gone = measured_bytes(registry[consumer]) == Bytes{};
  if (++watched_[consumer.value].unreachable_polls < kUnreachablePolls && !memory_is_gone) return;
  if (!holds_anything(registry, consumer)) return;
  parts_.loop.dispatch(
      ServiceLost{.consumer = consumer,
                  .error = {ErrorCode::service_down,
                            registry[consumer].spec.name + ": nothing listens any more at its url"}});
}

std::optional<Listing> ServiceWatch::listing_of(ConsumerId consumer, const ServiceSnapshot& seen,
                                                Instant asked_at) {
  const config::ConsumerSnapshot config = parts_.config.consumer(consumer);
  const config::ServiceConfig& service = config->service;
  const Registry& registry = parts_.loop.world().registry;
  Listing listing{.asked_at = asked_at};
  if (!has_several_ai_models(service)) {
    const ResidentId only = registry[consumer].residents.front();
    if (seen.reports_residency) {
      for (const ServiceSnapshot::Present& present : seen.present)
        if (listing.present[only] != Presence::warm) listing.present[only] = present.presence;
      return listing;
    }
    // A service that was started externally and needs no load request is warm as soon as it is up.
    const Residency state = registry[only].state;
    if (!seen.started_externally || service.load) return std::nullopt;
    if (state != Residency::cold && state != Residency::failed) return std::nullopt;
    // One that has dropped what it held is up, too, until its memory is back.
    const bool is_back = measured_bytes(registry[consumer]) >= Bytes{registry[only].footprint.count / 2};
    if (watched_[consumer.value].has_dropped && !is_back) return std::nullopt;
    watched_[consumer.value].has_dropped = false;
    listing.present[only] = Presence::warm;
    return listing;
  }
  listing.offered.emplace();
  for (const std::string& name : seen.ai_models) {
    const std::string ai_model = service::canonical_name(service.type, name);
    listing.offered->insert(ai_model);
    // Names that share weights have one resident, which is gone with the last of them.
    if (const auto shared = parts_.targets.find_resident(consumer, ai_model))
      listing.offered->insert(registry[*shared].ai_model);
  }
  for (const auto& [name, presence, bytes] : seen.present) {
    // A service that lists ever new names must not let the world grow without bound.
    if (listing.present.size() >= kMaxListedAiModels || name.size() > kMaxAiModelLength) continue;
    if (registry[consumer].residents.size() >= 2 * kMaxListedAiModels) break;
    const std::string ai_model = service::canonical_name(service.type, name);
    const Bytes footprint = bytes > Bytes{} ? bytes : config->footprint;
    listing.present[parts_.targets.find_or_add_resident(consumer, ai_model, footprint)] = presence;
  }
  return listing;
}

asio::awaitable<void> ServiceWatch::evict_uninvited(ConsumerId consumer) {
  UninvitedLoads& uninvited = watched_[consumer.value].uninvited;
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
