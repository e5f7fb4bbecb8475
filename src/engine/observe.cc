// What the world outside says by itself: readings, processes that died, services that are up without us.
#include <algorithm>
#include <utility>

#include "engine/impl.h"
#include "engine/readings.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr std::chrono::seconds kLookAgain{5};

}  // namespace

void Engine::Impl::hear(Sample sample) {
  const DeviceId device = sample.device;
  if (!sample.raw) {
    feed(ReadingTaken{{.device = device, .taken = sample.taken, .lost = true}});
    return;
  }
  const auto owners = owners_on(device, sample);
  const auto attributed = gpu::attribute(*sample.raw, owners, sample.processes, expected_on(world, device));
  vitals[device.value] = sample.vitals;
  foreign_processes[device.value] = attributed.foreign_processes;
  feed(ReadingTaken{reading_of(world, device, sample.taken, *sample.raw, attributed)});
}

std::vector<gpu::Owner> Engine::Impl::owners_on(DeviceId device, const Sample& sample) const {
  std::vector<gpu::Owner> owners;
  for (std::size_t i = 0; i < applications.size(); ++i) {
    if (world.registry[ConsumerId{i}].spec.device != device) continue;
    if (const auto pid = applications[i]->pid())
      owners.push_back({.who = ConsumerId{i}, .root_pid = *pid, .process_group = *pid});
    const auto port = external_port(consumers[i]);
    if (const auto found = sample.listeners.find(port.value_or(0)); found != sample.listeners.end())
      owners.push_back({.who = ConsumerId{i}, .root_pid = found->second});
  }
  for (const auto& [ticket, standing] : standings) {
    if (!standing->holder.pid || standing->ask.device != device) continue;
    if (standing->ask.consumer)
      owners.push_back({.who = *standing->ask.consumer, .root_pid = *standing->holder.pid});
    else
      owners.push_back({.who = ticket, .root_pid = *standing->holder.pid});
  }
  return owners;
}

void Engine::Impl::lost(ConsumerId consumer, Error why) {
  feed(ServiceLost{.consumer = consumer, .why = std::move(why)});
}

// External services are looked at now and then: what they hold without us counts, and what they offer is
// learned. Those with a process of ours are asked only for what they offer, and only while it runs.
asio::awaitable<void> Engine::Impl::watch(ConsumerId consumer) {
  const auto self = shared_from_this();
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
  if (!watched.external()) co_return;
  const config::ServiceConfig& service = consumers[consumer.value].service;
  if (has_several_ai_models(service)) {
    for (const auto& [name, bytes] : seen.warm)
      found_warm(resident_named(consumer, service::canonical_name(service.type, name), bytes));
  } else if (!service.load) {  // nothing has to be done to make it ready: whoever is up is warm
    found_warm(world.registry[consumer].residents.front());
  }
}

void Engine::Impl::found_warm(ResidentId resident) {
  const Residency state = world.registry[resident].state;
  if (state == Residency::cold || state == Residency::failed) feed(FoundWarm{resident});
}

asio::awaitable<void> Engine::Impl::look_for_loss(ConsumerId consumer, std::string reason) {
  const auto self = shared_from_this();
  Application& suspected = application(consumer);
  const bool gone = co_await suspected.is_gone();
  if (gone) lost(consumer, {Code::service_down, world.registry[consumer].spec.name + ": " + reason});
}

}  // namespace mgpu::engine
