// What the world outside says by itself: readings, processes that died, services that are up without us.
#include <algorithm>
#include <set>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/services.h"
#include "engine/engine_impl.h"
#include "engine/local_hour.h"
#include "engine/readings.h"
#include "engine/yielding.h"
#include "sched/step.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kPollInterval{5};
constexpr Duration kReadingTimeout{5'000'000};  // a reading that takes longer will not come
constexpr std::chrono::minutes kMaxHourSleep{10};

bool is_cold_or_failed(Residency state) { return state == Residency::cold || state == Residency::failed; }

}  // namespace

void Engine::Impl::on_sample(Sample sample) {
  const DeviceId device = sample.device;
  if (!sample.raw) {
    dispatch_event(ReadingTaken{{.device = device, .taken_at = sample.taken, .lost = true}});
    return;
  }
  const gpu::RawReading& raw = *sample.raw;
  const auto owners = owners_on(device, sample);
  const auto attributed = gpu::attribute(raw, owners, sample.processes, total_expected_bytes(world, device));
  driver_listed_processes = driver_listed_processes || !raw.processes.empty();
  observations[device.value] = {
      .foreign_processes = attributed.foreign_processes,
      .own_processes = attributed.processes,
      .yielding_to = find_yield_process(config.yield_to, attributed.foreign_processes),
      .telemetry = sample.telemetry,
      .driver_reserved = raw.driver_reserved};
  const bool by_process = can_attribute_by_process(world, device, raw, attributed, driver_listed_processes);
  Reading reading = make_reading(world, device, sample.taken, raw, attributed, by_process, last_loads);
  reading.yielded = observations[device.value].yielding_to.has_value();
  dispatch_event(ReadingTaken{std::move(reading)});
}

std::vector<int> Engine::Impl::pids_on_devices(ConsumerId consumer) const {
  std::set<int> pids;  // one process may be on several devices
  for (const DeviceObservation& seen : observations)
    for (const auto& process : seen.own_processes)
      if (process.consumer == consumer) pids.insert(process.pid);
  return {pids.begin(), pids.end()};
}

// A process may have been born since the last reading.
asio::awaitable<std::vector<int>> Engine::Impl::read_device_pids(ConsumerId consumer) {
  const auto self = shared_from_this();
  const auto its_devices = devices_of(world.registry[consumer].spec);
  for (const DeviceId device : its_devices) co_await wait_for_fresh_reading(device);
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
    if (const auto found = sample.listener_pids.find(port.value_or(0)); found != sample.listener_pids.end())
      owners.push_back(owner_by_listener(ConsumerId{i}, found->second, sample));
  }
  for (const auto& [ticket, lease_state] : lease_states) {
    if (!lease_state->holder.pid || !is_on_device(world.registry, lease_state->ask, device)) continue;
    gpu::Owner owner{.id = ticket, .root_pid = *lease_state->holder.pid, .slurm_job = lease_state->slurm_job};
    if (lease_state->ask.consumer) owner.id = *lease_state->ask.consumer;
    owners.push_back(std::move(owner));
  }
  return owners;
}

void Engine::Impl::report_service_lost(ConsumerId consumer, Error why) {
  dispatch_event(ServiceLost{.consumer = consumer, .error = std::move(why)});
}

// External services are looked at now and then, and so are units and containers: what they hold without us
// counts, and what they offer is learned. Those with a process of ours are asked only for what they offer,
// and only while it runs.
asio::awaitable<void> Engine::Impl::run_poll_loop(ConsumerId consumer) {
  const auto self = shared_from_this();
  // Before the first reading whatever is found would look as if it did not fit, and be told to leave.
  const DeviceId device = world.registry[consumer].spec.device;
  while (!closed && world.registry.readings[device.value].taken_at == Instant{})
    co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  while (!closed && !world.draining) {
    co_await poll_consumer(consumer);
    if (closed) co_return;
    const Duration length = kPollInterval;
    co_await application(consumer).sleep_for(length);
  }
}

asio::awaitable<void> Engine::Impl::poll_consumer(ConsumerId consumer) {
  Application& watched = application(consumer);
  const std::uint64_t generation = watched.generation();
  const ServiceSnapshot seen = co_await watched.poll_service();
  // What was seen may be older than a load or an eviction that went on meanwhile.
  if (closed || !seen.up || generation != watched.generation()) co_return;
  name_index.replace_listed(consumer, seen.ai_models);
  if (!watched.is_discoverable()) co_return;
  const bool tracks_uninvited = has_several_ai_models(consumers[consumer.value].service);
  std::vector<ResidentId> found;
  for (const ResidentId resident : warm_residents(consumer, seen))
    if (is_cold_or_failed(world.registry[resident].state)) found.push_back(resident);
  if (!found.empty()) {
    // So far its memory may have counted as foreign. It must not count twice.
    const auto its_devices = devices_of(world.registry[consumer].spec);
    for (const DeviceId device : its_devices) co_await wait_for_fresh_reading(device);
    if (closed || generation != watched.generation()) co_return;
    for (const ResidentId resident : found)
      if (report_found_warm(resident) && tracks_uninvited) record_uninvited_load(resident);
  }
  if (!tracks_uninvited) co_return;
  uninvited_loads[consumer.value].has_baseline = true;
  co_await evict_uninvited(consumer);
}

bool Engine::Impl::report_found_warm(ResidentId resident) {
  if (!is_cold_or_failed(world.registry[resident].state)) return false;
  last_loads[world.registry[resident].consumer.value].found_warm_at = clock.now();
  dispatch_event(FoundWarm{resident});
  return true;
}

// What was there when we looked for the first time came before us, and not behind our back.
void Engine::Impl::record_uninvited_load(ResidentId resident) {
  UninvitedLoads& uninvited = uninvited_loads[world.registry[resident].consumer.value];
  if (!uninvited.has_baseline) return;
  ++uninvited.count;
  uninvited.unused_residents.emplace(resident, world.registry[resident].last_used);
}

// Where the configuration wants it: who came without us is asked to leave, once the service is idle. Whoever
// was asked for through us meanwhile is welcome.
asio::awaitable<void> Engine::Impl::evict_uninvited(ConsumerId consumer) {
  std::map<ResidentId, Instant>& unused = uninvited_loads[consumer.value].unused_residents;
  std::erase_if(unused, [&](const auto& entry) {
    const Resident& resident = world.registry[entry.first];
    return resident.state != Residency::warm || resident.use_count > 0 || resident.last_used != entry.second;
  });
  if (consumers[consumer.value].uninvited != config::UninvitedPolicy::leave || unused.empty()) co_return;
  const std::uint32_t active_requests = co_await application(consumer).count_active_requests();
  if (active_requests > 0 || closed) co_return;
  const std::map<ResidentId, Instant> leaving = std::exchange(unused, {});
  for (const auto& [id, since] : leaving)
    if (check_eviction(world, id, false)) dispatch_event(EvictionRequested{.resident = id});
}

// A clock that is set, or a machine that slept, is noticed within the longest nap.
asio::awaitable<void> Engine::Impl::run_hour_loop() {
  const auto self = shared_from_this();
  std::optional<std::uint8_t> last_hour;
  while (!closed) {
    const LocalHour local = local_hour(std::chrono::system_clock::now());
    if (last_hour != local.hour) dispatch_event(HourBegan{local.hour});
    last_hour = local.hour;
    hour_timer.expires_after(std::min<Duration>(local.until_next, kMaxHourSleep));
    co_await hour_timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

std::vector<ResidentId> Engine::Impl::warm_residents(ConsumerId consumer, const ServiceSnapshot& seen) {
  const config::ServiceConfig& service = consumers[consumer.value].service;
  std::vector<ResidentId> warm;
  if (has_several_ai_models(service)) {
    for (const auto& [name, bytes] : seen.warm) {
      // A service that invents names must not make the world grow for ever.
      if (warm.size() >= kMaxListedAiModels || name.size() > kMaxAiModelLength) continue;
      if (world.registry[consumer].residents.size() >= 2 * kMaxListedAiModels) break;
      warm.push_back(find_or_add_resident(consumer, service::canonical_name(service.type, name),
                                          bytes > Bytes{} ? bytes : consumers[consumer.value].footprint));
    }
  } else if (seen.reports_residency ? !seen.warm.empty()
                                    : seen.started_externally &&
                                          !service.load) {  // else nothing has to be done to make it ready
    warm.push_back(world.registry[consumer].residents.front());
  }
  return warm;
}

asio::awaitable<void> Engine::Impl::wait_for_fresh_reading(DeviceId device) {
  const auto self = shared_from_this();
  const Instant requested_at = clock.now();
  const Instant deadline = requested_at + kReadingTimeout;
  sampler.read_now(device);
  // Nothing else need happen meanwhile: a driver that hangs tells nobody.
  asio::steady_timer timeout(io, clock.steady_time(deadline));
  timeout.async_wait([self](const boost::system::error_code& error) {
    if (!error) self->changed.cancel();
  });
  while (!closed && world.registry.readings[device.value].taken_at < requested_at && clock.now() < deadline)
    co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
}

asio::awaitable<void> Engine::Impl::check_service_lost(ConsumerId consumer, std::string reason) {
  const auto self = shared_from_this();
  Application& suspected = application(consumer);
  const bool gone = co_await suspected.is_service_down();
  if (gone)
    report_service_lost(consumer,
                        {ErrorCode::service_down, world.registry[consumer].spec.name + ": " + reason});
}

}  // namespace mgpu::engine
