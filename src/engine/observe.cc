// What the world outside says by itself: readings, processes that died, services that are up without us.
#include <algorithm>
#include <set>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/services.h"
#include "engine/hours.h"
#include "engine/impl.h"
#include "engine/readings.h"
#include "engine/yielding.h"
#include "sched/step.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kLookAgain{5};
constexpr Duration kReadingLimit{5'000'000};  // a reading that takes longer will not come
constexpr std::chrono::minutes kLongestNap{10};

bool is_cold(Residency state) { return state == Residency::cold || state == Residency::failed; }

}  // namespace

void Engine::Impl::hear(Sample sample) {
  const DeviceId device = sample.device;
  if (!sample.raw) {
    feed(ReadingTaken{{.device = device, .taken_at = sample.taken, .lost = true}});
    return;
  }
  const gpu::RawReading& raw = *sample.raw;
  const auto owners = owners_on(device, sample);
  const auto attributed = gpu::attribute(raw, owners, sample.processes, expected_on(world, device));
  driver_listed_somebody = driver_listed_somebody || !raw.processes.empty();
  observations[device.value] = {.foreign_processes = attributed.foreign_processes,
                                .own_processes = attributed.processes,
                                .yielding_to = yields_to(config.yield_to, attributed.foreign_processes),
                                .vitals = sample.vitals,
                                .driver_reserved = raw.driver_reserved};
  const bool by_process = tells_by_process(world, device, raw, attributed, driver_listed_somebody);
  Reading reading = reading_of(world, device, sample.taken, raw, attributed, by_process, arrivals);
  reading.yielded = observations[device.value].yielding_to.has_value();
  feed(ReadingTaken{std::move(reading)});
}

std::vector<int> Engine::Impl::pids_on_devices(ConsumerId consumer) const {
  std::set<int> pids;  // one process may be on several devices
  for (const Observation& seen : observations)
    for (const auto& process : seen.own_processes)
      if (process.consumer == consumer) pids.insert(process.pid);
  return {pids.begin(), pids.end()};
}

// A process may have been born since the last reading.
asio::awaitable<std::vector<int>> Engine::Impl::holders_now(ConsumerId consumer) {
  const auto self = shared_from_this();
  const auto its_devices = devices_of(world.registry[consumer].spec);
  for (const DeviceId device : its_devices) co_await reading_from_now(device);
  co_return pids_on_devices(consumer);
}

// Whose the listener's processes are: its tree, and who shares its container or unit. A service's workers
// need not be its children, and the listener may be a proxy.
gpu::Owner Engine::Impl::owner_by_listener(ConsumerId consumer, int pid, const Sample& sample) const {
  gpu::Owner owner{.id = consumer, .root_pid = pid};
  const auto facts = sample.processes.find(pid);
  if (facts == sample.processes.end()) return owner;
  const gpu::CgroupNames& names = facts->second.cgroup;
  if (names.container != own_cgroup.container) owner.container = names.container;
  if (names.unit != own_cgroup.unit) owner.unit = names.unit;
  return owner;
}

std::vector<gpu::Owner> Engine::Impl::owners_on(DeviceId device, const Sample& sample) const {
  std::vector<gpu::Owner> owners;
  for (std::size_t i = 0; i < applications.size(); ++i) {
    if (!is_on_device(world.registry[ConsumerId{i}].spec, device)) continue;
    const runner::RunIdentity run = applications[i]->identity();
    if (run.pid || !run.unit.empty() || !run.container_id.empty())
      owners.push_back({.id = ConsumerId{i},
                        .root_pid = run.pid.value_or(0),
                        .process_group = run.process_group,
                        .unit = run.unit,
                        .container = run.container_id});
    const auto port = external_port(consumers[i]);
    if (const auto found = sample.listeners.find(port.value_or(0)); found != sample.listeners.end())
      owners.push_back(owner_by_listener(ConsumerId{i}, found->second, sample));
  }
  for (const auto& [ticket, standing] : standings) {
    if (!standing->holder.pid || !is_on_device(world.registry, standing->ask, device)) continue;
    gpu::Owner owner{.id = ticket, .root_pid = *standing->holder.pid, .slurm_job = standing->slurm_job};
    if (standing->ask.consumer) owner.id = *standing->ask.consumer;
    owners.push_back(std::move(owner));
  }
  return owners;
}

void Engine::Impl::lost(ConsumerId consumer, Error why) {
  feed(ServiceLost{.consumer = consumer, .error = std::move(why)});
}

// External services are looked at now and then, and so are units and containers: what they hold without us
// counts, and what they offer is learned. Those with a process of ours are asked only for what they offer,
// and only while it runs.
asio::awaitable<void> Engine::Impl::watch(ConsumerId consumer) {
  const auto self = shared_from_this();
  // Before the first reading whatever is found would look as if it did not fit, and be told to leave.
  const DeviceId device = world.registry[consumer].spec.device;
  while (!closed && world.registry.readings[device.value].taken_at == Instant{})
    co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  while (!closed && !world.draining) {
    co_await look_at(consumer);
    if (closed) co_return;
    const Duration length = kLookAgain;
    co_await application(consumer).pause(length);
  }
}

asio::awaitable<void> Engine::Impl::look_at(ConsumerId consumer) {
  Application& watched = application(consumer);
  const std::uint64_t before = watched.changes();
  const Sighting seen = co_await watched.look();
  // What was seen may be older than a load or an eviction that went on meanwhile.
  if (closed || !seen.up || before != watched.changes()) co_return;
  targets.list(consumer, seen.offered);
  if (!watched.may_be_found()) co_return;
  const bool tells_visits = has_several_ai_models(consumers[consumer.value].service);
  std::vector<ResidentId> found;
  for (const ResidentId resident : warm_in(consumer, seen))
    if (is_cold(world.registry[resident].state)) found.push_back(resident);
  if (!found.empty()) {
    // So far its memory may have counted as foreign. It must not count twice.
    const auto its_devices = devices_of(world.registry[consumer].spec);
    for (const DeviceId device : its_devices) co_await reading_from_now(device);
    if (closed || before != watched.changes()) co_return;
    for (const ResidentId resident : found)
      if (found_warm(resident) && tells_visits) note_uninvited(resident);
  }
  if (!tells_visits) co_return;
  visits[consumer.value].seen = true;
  co_await show_out_uninvited(consumer);
}

bool Engine::Impl::found_warm(ResidentId resident) {
  if (!is_cold(world.registry[resident].state)) return false;
  arrivals[world.registry[resident].consumer.value].found_warm = clock.now();
  feed(FoundWarm{resident});
  return true;
}

// What was there when we looked for the first time came before us, and not behind our back.
void Engine::Impl::note_uninvited(ResidentId resident) {
  Visits& visit = visits[world.registry[resident].consumer.value];
  if (!visit.seen) return;
  ++visit.uninvited;
  visit.present.emplace(resident, world.registry[resident].last_used);
}

// Where the configuration wants it: who came without us is asked to leave, once the service is idle. Whoever
// was asked for through us meanwhile is welcome.
asio::awaitable<void> Engine::Impl::show_out_uninvited(ConsumerId consumer) {
  std::map<ResidentId, Instant>& present = visits[consumer.value].present;
  std::erase_if(present, [&](const auto& visitor) {
    const Resident& resident = world.registry[visitor.first];
    return resident.state != Residency::warm || resident.use_count > 0 ||
           resident.last_used != visitor.second;
  });
  if (consumers[consumer.value].uninvited != config::UninvitedPolicy::leave || present.empty()) co_return;
  const std::uint32_t at_work = co_await application(consumer).at_work();
  if (at_work > 0 || closed) co_return;
  const std::map<ResidentId, Instant> leaving = std::exchange(present, {});
  for (const auto& [id, since] : leaving)
    if (check_eviction(world, id, false)) feed(EvictionRequested{.resident = id});
}

// A clock that is set, or a machine that slept, is noticed within the longest nap.
asio::awaitable<void> Engine::Impl::tell_hours() {
  const auto self = shared_from_this();
  std::optional<std::uint8_t> told;
  while (!closed) {
    const LocalHour local = local_hour(std::chrono::system_clock::now());
    if (told != local.hour) feed(HourBegan{local.hour});
    told = local.hour;
    next_hour.expires_after(std::min<Duration>(local.until_next, kLongestNap));
    co_await next_hour.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

std::vector<ResidentId> Engine::Impl::warm_in(ConsumerId consumer, const Sighting& seen) {
  const config::ServiceConfig& service = consumers[consumer.value].service;
  std::vector<ResidentId> warm;
  if (has_several_ai_models(service)) {
    for (const auto& [name, bytes] : seen.warm) {
      // A service that invents names must not make the world grow for ever.
      if (warm.size() >= kMostListed || name.size() > kLongestAiModel) continue;
      if (world.registry[consumer].residents.size() >= 2 * kMostListed) break;
      warm.push_back(resident_named(consumer, service::canonical_name(service.type, name),
                                    bytes > Bytes{} ? bytes : consumers[consumer.value].footprint));
    }
  } else if (seen.tells ? !seen.warm.empty()
                        : seen.by_itself && !service.load) {  // else nothing has to be done to make it ready
    warm.push_back(world.registry[consumer].residents.front());
  }
  return warm;
}

asio::awaitable<void> Engine::Impl::reading_from_now(DeviceId device) {
  const auto self = shared_from_this();
  const Instant asked = clock.now();
  const Instant last_moment = asked + kReadingLimit;
  sampling.read_now(device);
  // Nothing else need happen meanwhile: a driver that hangs tells nobody.
  asio::steady_timer tired(io, clock.steady(last_moment));
  tired.async_wait([self](const boost::system::error_code& error) {
    if (!error) self->changed.cancel();
  });
  while (!closed && world.registry.readings[device.value].taken_at < asked && clock.now() < last_moment)
    co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> Engine::Impl::look_for_loss(ConsumerId consumer, std::string reason) {
  const auto self = shared_from_this();
  Application& suspected = application(consumer);
  const bool gone = co_await suspected.is_gone();
  if (gone) lost(consumer, {ErrorCode::service_down, world.registry[consumer].spec.name + ": " + reason});
}

}  // namespace mgpu::engine
