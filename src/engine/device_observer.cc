#include "engine/device_observer.h"

#include <algorithm>
#include <set>
#include <utility>

#include <unistd.h>

#include "engine/application.h"
#include "engine/yielding.h"
#include "gpu/attribution.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

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
  const auto owners = find_memory_owners(world.registry, sample,
                                         {.runs = sources_.runs(),
                                          .ports = external_ports_,
                                          .ticket_processes = sources_.ticket_processes(),
                                          .own_cgroup = own_cgroup_});
  const auto attributed = gpu::attribute(raw, owners, sample.processes, total_expected_bytes(world, device));
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
  loop_.dispatch(ReadingTaken{std::move(reading)});
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
