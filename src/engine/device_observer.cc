#include "engine/device_observer.h"

#include <algorithm>
#include <set>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include "engine/application.h"
#include "engine/yielding.h"
#include "gpu/attribution.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr Bytes kNotableChange = kMiB * 64;  // smaller ones are a service's usual allocations

std::vector<std::uint32_t> device_indices(const std::vector<gpu::DeviceInfo>& devices) {
  std::vector<std::uint32_t> indices;
  for (const gpu::DeviceInfo& device : devices) indices.push_back(device.index);
  return indices;
}

std::vector<std::optional<std::uint16_t>> external_ports(const config::LiveConfig& config) {
  std::vector<std::optional<std::uint16_t>> ports;
  for (std::size_t i = 0; i < config.consumer_count(); ++i)
    ports.push_back(external_port(*config.consumer(ConsumerId{i})));
  return ports;
}

std::vector<std::uint16_t> known_ports(const std::vector<std::optional<std::uint16_t>>& ports) {
  std::vector<std::uint16_t> known;
  for (const auto& port : ports)
    if (port) known.push_back(*port);
  return known;
}

// A process that the driver still lists after its end keeps its owner; that of a ticket as long as the ticket
// is known.
template <class KnownOwners>
void add_ended_processes(std::vector<gpu::Owner>& owners, const gpu::RawReading& raw,
                         const gpu::ProcessTable& processes, const KnownOwners& known) {
  std::vector<gpu::Owner> ended;
  for (const gpu::ProcessUsage& use : raw.processes) {
    const auto process = processes.find(use.pid);
    const bool is_alive = process != processes.end() && process->second.state != 'Z';
    const auto before = known.find(use.pid);
    if (is_alive || before == known.end()) continue;
    const gpu::Owner& owner = before->second.owner;
    if (!owner.ticket || std::ranges::find(owners, owner.ticket, &gpu::Owner::ticket) != owners.end())
      ended.push_back({.id = owner.id, .ticket = owner.ticket, .root_pid = use.pid});
  }
  owners.insert(owners.begin(), ended.begin(), ended.end());
}

// The consumers whose memory in the reading differs by kNotableChange or more from that in the last one, or
// is gone.
std::vector<ConsumerId> consumers_with_changed_bytes(const Registry& registry, const Reading& reading) {
  std::vector<ConsumerId> changed;
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) {
    const ConsumerId id{i};
    if (!is_on_device(registry[id].spec, reading.device)) continue;
    const Bytes before = device_usage(registry[id], reading.device).measured;
    const auto share = std::ranges::find(reading.consumers, id, &Reading::ConsumerBytes::consumer);
    const Bytes now = share == reading.consumers.end() ? Bytes{} : share->bytes;
    const Bytes difference = std::max(before, now) - std::min(before, now);
    if (difference >= kNotableChange || (now == Bytes{} && before > Bytes{})) changed.push_back(id);
  }
  return changed;
}

DeviceSampler::Intervals sampling_intervals(const config::Config& config) {
  return {.busy = config.gpu.sample_busy, .idle = config.gpu.sample_idle};
}

}  // namespace

DeviceObserver::DeviceObserver(asio::io_context& io, const Clock& clock, CoreLoop& loop,
                               gpu::Provider& provider, const std::vector<gpu::DeviceInfo>& devices,
                               const config::LiveConfig& config, Sources sources)
    : clock_(clock),
      loop_(loop),
      config_(config),
      sources_(std::move(sources)),
      external_ports_(external_ports(config)),
      own_cgroup_(gpu::read_cgroup(::getpid())),
      observations_(devices.size()),
      known_owners_(devices.size()),
      last_loads_(config.consumer_count()),
      sampler_(io.get_executor(), clock, provider, device_indices(devices), known_ports(external_ports_),
               sampling_intervals(*config.snapshot()), [this](const Sample& sample) { on_sample(sample); }) {}

void DeviceObserver::on_sample(const Sample& sample) {
  const DeviceId device = sample.device;
  if (!sample.raw) {
    loop_.dispatch(ReadingTaken{{.device = device, .taken_at = sample.taken, .lost = true}});
    return;
  }
  const World& world = loop_.world();
  const gpu::RawReading& raw = *sample.raw;
  const OwnerCandidates candidates{.runs = sources_.runs(),
                                   .ports = external_ports_,
                                   .ticket_processes = sources_.ticket_processes(),
                                   .own_cgroup = own_cgroup_};
  auto owners = find_memory_owners(world.registry, sample, candidates);
  KnownOwners& known = known_owners_[device.value];
  add_ended_processes(owners, raw, sample.processes, known);
  const auto attributed = gpu::attribute(raw, owners, sample.processes, total_expected_bytes(world, device));
  KnownOwners seen;
  for (const auto& process : attributed.owned_processes) {
    const auto before = known.find(process.pid);
    const bool had_run = before != known.end() && before->second.has_owners_run;
    seen[process.pid] = {owners[process.owner], process.has_owners_run || had_run};
  }
  known = std::move(seen);
  note_misplaced(sample, candidates);
  driver_listed_processes_ = driver_listed_processes_ || !raw.processes.empty();
  observations_[device.value] = {
      .foreign_processes = attributed.foreign_processes,
      .own_processes = attributed.processes,
      .yielding_to = find_yield_process(config_.snapshot()->yield_to, attributed.foreign_processes),
      .telemetry = sample.telemetry,
      .driver_reserved = raw.driver_reserved};
  const bool by_process = can_attribute_by_process(world, device, raw, attributed, driver_listed_processes_);
  Reading reading = make_reading(world, device, sample.taken, raw, attributed, by_process, last_loads_);
  reading.yielded = observations_[device.value].yielding_to.has_value();
  const std::vector<ConsumerId> changed = consumers_with_changed_bytes(world.registry, reading);
  loop_.dispatch(ReadingTaken{std::move(reading)});
  if (sources_.on_reading) sources_.on_reading(device);
  if (!sources_.on_bytes_changed) return;
  for (const ConsumerId consumer : changed) sources_.on_bytes_changed(consumer);
}

void DeviceObserver::note_misplaced(const Sample& sample, const OwnerCandidates& candidates) {
  if (known_owners_.size() < 2 || !sources_.on_misplaced) return;
  gpu::RawReading foreign = *sample.raw;
  std::erase_if(foreign.processes,
                [&](const auto& use) { return known_owners_[sample.device.value].contains(use.pid); });
  const auto owners = find_misplaced_owners(loop_.world().registry, sample, candidates);
  std::set<ConsumerId> found;
  for (const auto& process : gpu::attribute(foreign, owners, sample.processes, {}).processes)
    found.insert(process.consumer);
  for (std::size_t i = 0; i < candidates.runs.size(); ++i) {
    std::set<DeviceId>& devices = misplaced_[ConsumerId{i}];
    const bool is_here = found.contains(ConsumerId{i});
    if (is_here == devices.contains(sample.device)) continue;
    if (is_here)
      devices.insert(sample.device);
    else
      devices.erase(sample.device);
    sources_.on_misplaced(ConsumerId{i}, devices);
  }
}

bool DeviceObserver::shows_run_of(TicketId ticket) const {
  return std::ranges::any_of(known_owners_, [&](const KnownOwners& known) {
    return std::ranges::any_of(known, [&](const auto& one) {
      return one.second.has_owners_run && one.second.owner.ticket == ticket;
    });
  });
}

asio::awaitable<void> DeviceObserver::wait_until_run_is_gone(TicketId ticket) {
  constexpr Duration kPause{100'000};
  asio::steady_timer timer(co_await asio::this_coro::executor);
  while (!loop_.is_closed()) {
    for (std::size_t i = 0; i < observations_.size(); ++i) {
      const DeviceId device{i};
      co_await wait_for_fresh_reading(device);
    }
    if (!shows_run_of(ticket)) co_return;
    timer.expires_after(kPause);
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable));
  }
}

void DeviceObserver::adapt_sampling_rate() {
  const World& world = loop_.world();
  const bool busy = !world.evictions.empty() || std::ranges::any_of(world.lines, [](const LineState& line) {
    return line.loading || !line.preparing.empty() || !line.waiting.empty() || !line.turnless.empty();
  });
  sampler_.set_busy(busy);
}

asio::awaitable<void> DeviceObserver::wait_for_fresh_reading(DeviceId device) {
  const Instant requested_at = clock_.now();
  const Instant deadline = requested_at + kReadingTimeout;
  const auto is_fresh = [&] {
    return loop_.world().registry.readings[device.value].taken_at >= requested_at;
  };
  sampler_.read_now(device);
  while (!loop_.is_closed() && !is_fresh() && clock_.now() < deadline)
    co_await loop_.wait_for_change(deadline);
}

asio::awaitable<void> DeviceObserver::wait_for_fresh_readings(ConsumerId consumer) {
  const auto devices = devices_of(loop_.world().registry[consumer].spec);
  for (const DeviceId device : devices) co_await wait_for_fresh_reading(device);
}

asio::awaitable<std::vector<int>> DeviceObserver::read_device_pids(ConsumerId consumer) {
  co_await wait_for_fresh_readings(consumer);
  std::set<int> pids;  // a process may use several devices
  for (const DeviceObservation& seen : observations_)
    for (const auto& process : seen.own_processes)
      if (process.consumer == consumer) pids.insert(process.pid);
  co_return std::vector<int>(pids.begin(), pids.end());
}

}  // namespace mgpu::engine
