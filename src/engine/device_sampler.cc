#include "engine/device_sampler.h"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <set>
#include <utility>

#include <boost/asio/post.hpp>

#include "gpu/pid_translator.h"

namespace mgpu::engine {
namespace {

using SteadyTime = std::chrono::steady_clock::time_point;

// Listeners change rarely, and finding them requires a scan of /proc.
constexpr std::chrono::seconds kListenerScanInterval{5};

constexpr std::chrono::seconds kProcessCacheTtl{5};

}  // namespace

// The state that the thread uses. Outlives the sampler where the driver hangs.
struct DeviceSampler::Worker {
  // The processes of a device's last reading. /proc is read again when the driver's list changes, and at
  // intervals, since a process may have been moved to another parent.
  struct ProcessCache {
    std::vector<int> listed_pids{};  // by the driver
    std::vector<int> host_pids{};    // the same processes in the host's pid namespace
    gpu::ProcessTable processes{};
    std::chrono::steady_clock::time_point cached_at{};
  };

  Worker(boost::asio::any_io_executor executor, const Clock& daemon_clock, gpu::Provider& gpu_provider,
         std::vector<std::uint32_t> device_indices, std::vector<std::uint16_t> listener_ports,
         Intervals sample_intervals, std::function<void(Sample)> callback)
      : strand(std::move(executor)),
        clock(daemon_clock),
        provider(gpu_provider),
        indices(std::move(device_indices)),
        ports(std::move(listener_ports)),
        intervals(sample_intervals),
        on_sample(std::make_shared<std::function<void(Sample)>>(std::move(callback))) {}

  void run();
  Sample sample(DeviceId device);
  const ProcessCache& identify_processes(DeviceId device, const gpu::RawReading& reading);
  void scan_listeners();

  boost::asio::any_io_executor strand;
  const Clock clock;
  gpu::Provider& provider;
  const std::vector<std::uint32_t> indices;
  const std::vector<std::uint16_t> ports;
  const Intervals intervals;
  // Shared with the posted handlers: a sample that arrives after stop() finds it empty. Used on the strand
  // only.
  std::shared_ptr<std::function<void(Sample)>> on_sample;

  // Used on the thread only.
  gpu::PidTranslator inner_pids;
  std::map<DeviceId, ProcessCache> process_caches;
  std::map<std::uint16_t, int> listener_pids;
  std::map<int, std::uint64_t> listener_start_times;
  std::chrono::steady_clock::time_point next_listener_scan{};

  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> stopping = false;  // set under the mutex
  bool done = false;                   // the thread is done
  bool busy = true;
  bool busy_changed = false;
  std::set<DeviceId> requested;
};

DeviceSampler::DeviceSampler(boost::asio::any_io_executor strand, const Clock& clock, gpu::Provider& provider,
                             std::vector<std::uint32_t> indices, std::vector<std::uint16_t> ports,
                             Intervals intervals, std::function<void(Sample)> on_sample)
    : worker_(std::make_shared<Worker>(std::move(strand), clock, provider, std::move(indices),
                                       std::move(ports), intervals, std::move(on_sample))) {}

DeviceSampler::~DeviceSampler() {
  stop();
  if (!wait_for_exit()) thread_.detach();
}

void DeviceSampler::start() {
  if (thread_.joinable()) return;
  thread_ = std::thread([worker = worker_] {
    worker->run();
    const std::lock_guard lock(worker->mutex);
    worker->done = true;
    worker->changed.notify_all();
  });
}

void DeviceSampler::stop() {
  *worker_->on_sample = nullptr;
  const std::lock_guard lock(worker_->mutex);
  if (worker_->stopping.exchange(true)) return;
  stopped_at_ = std::chrono::steady_clock::now();
  worker_->changed.notify_all();
}

bool DeviceSampler::wait_for_exit() {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock lock(worker_->mutex);
    const auto deadline = stopped_at_ + kDriverStopTimeout;
    if (!worker_->changed.wait_until(lock, deadline, [&] { return worker_->done; })) return false;
  }
  thread_.join();
  return true;
}

void DeviceSampler::set_busy(bool busy) {
  {
    const std::lock_guard lock(worker_->mutex);
    if (worker_->busy == busy) return;
    worker_->busy = busy;
    worker_->busy_changed = true;
  }
  worker_->changed.notify_all();
}

void DeviceSampler::read_now(DeviceId device) {
  {
    const std::lock_guard lock(worker_->mutex);
    worker_->requested.insert(device);
  }
  worker_->changed.notify_all();
}

// Samples all devices at the current interval, and requested ones at once.
void DeviceSampler::Worker::run() {
  SteadyTime due{};
  std::unique_lock lock(mutex);
  while (!stopping) {
    const auto now = std::chrono::steady_clock::now();
    if (busy_changed)
      due = std::min(due, now + (busy ? intervals.busy : intervals.idle)), busy_changed = false;
    if (now >= due) {
      for (std::size_t i = 0; i < indices.size(); ++i) requested.insert(DeviceId{i});
      due = now + (busy ? intervals.busy : intervals.idle);
    }
    if (requested.empty()) {
      changed.wait_until(lock, due);
      continue;
    }
    const std::set<DeviceId> batch = std::exchange(requested, {});
    for (const DeviceId device : batch) {
      lock.unlock();
      Sample seen = sample(device);
      lock.lock();
      if (stopping) return;  // the strand may be destroyed
      boost::asio::post(strand, [callback = on_sample, seen = std::move(seen)]() mutable {
        if (*callback) (*callback)(std::move(seen));
      });
    }
  }
}

Sample DeviceSampler::Worker::sample(DeviceId device) {
  const std::uint32_t index = indices[device.value];
  Sample sample{.device = device, .taken = clock.now(), .raw = provider.read(index)};
  if (!sample.raw || stopping) return sample;
  sample.telemetry = provider.read_telemetry(index);
  if (!sample.raw->processes.empty() || !sample.raw->unreadable_pids.empty()) {
    const ProcessCache& known = identify_processes(device, *sample.raw);
    for (std::size_t i = 0; i < known.host_pids.size(); ++i)
      sample.raw->processes[i].pid = known.host_pids[i];
    sample.processes = known.processes;
  }
  sample.listener_pids = listener_pids;
  return sample;
}

const DeviceSampler::Worker::ProcessCache& DeviceSampler::Worker::identify_processes(
    DeviceId device, const gpu::RawReading& reading) {
  std::vector<int> listed_pids;
  for (const gpu::ProcessUsage& process : reading.processes) listed_pids.push_back(process.pid);
  listed_pids.insert(listed_pids.end(), reading.unreadable_pids.begin(), reading.unreadable_pids.end());
  ProcessCache& known = process_caches[device];
  const auto now = std::chrono::steady_clock::now();
  if (known.listed_pids == listed_pids && now < known.cached_at + kProcessCacheTtl) return known;

  scan_listeners();
  known = {.listed_pids = std::move(listed_pids), .cached_at = now};
  std::vector<gpu::ProcessUsage> processes = reading.processes;
  inner_pids.translate(processes);
  for (const gpu::ProcessUsage& process : processes) known.host_pids.push_back(process.pid);
  std::vector<int> pids = known.host_pids;
  pids.insert(pids.end(), reading.unreadable_pids.begin(), reading.unreadable_pids.end());
  for (const auto& [port, pid] : listener_pids) pids.push_back(pid);
  known.processes = gpu::read_process_table(pids);
  return known;
}

void DeviceSampler::Worker::scan_listeners() {
  if (ports.empty()) return;
  const auto is_still_running = [](const auto& listener) {
    const auto facts = gpu::read_process(listener.first);
    return facts && facts->start_time == listener.second;
  };
  bool all_there = true;
  for (const auto& listener : listener_start_times) all_there = all_there && is_still_running(listener);
  const auto now = std::chrono::steady_clock::now();
  const bool all_found = listener_pids.size() == ports.size();
  if (all_there && (all_found || now < next_listener_scan)) return;
  next_listener_scan = now + kListenerScanInterval;
  listener_pids.clear();
  listener_start_times.clear();
  for (const std::uint16_t port : ports) {
    const auto pid = gpu::find_listener_pid(port);
    const auto facts = pid ? gpu::read_process(*pid) : std::nullopt;
    if (!facts) continue;
    listener_pids[port] = *pid;
    listener_start_times[*pid] = facts->start_time;
  }
}

}  // namespace mgpu::engine
