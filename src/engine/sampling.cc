#include "engine/sampling.h"

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

// Listeners change seldom, and looking for them means walking /proc.
constexpr std::chrono::seconds kLookForListeners{5};

constexpr std::chrono::seconds kTrustAcquaintance{5};

}  // namespace

Instant Clock::now() const {
  return {std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now() - start_).count()};
}

SteadyTime Clock::steady(Instant at) const {
  const auto last = std::chrono::floor<Duration>(SteadyTime::max() - start_);
  if (at.us >= last.count()) return SteadyTime::max();  // this clock counts finer, and ends sooner
  // Rounded up: a timer that fires a moment early would find nothing due.
  return start_ + Duration{at.us + 1};
}

std::chrono::system_clock::time_point Clock::wall(Instant at) const {
  using WallTime = std::chrono::system_clock::time_point;
  const auto last = std::chrono::floor<Duration>(WallTime::max() - wall_start_);
  return at.us >= last.count() ? WallTime::max() : wall_start_ + Duration{at.us};
}

// What the thread works with. It outlives the sampling where the driver hangs.
struct Sampling::Reader {
  // Who the processes of a device's last reading are. /proc is asked again when the driver lists other ones,
  // and now and then: a pid that stays for seconds may have got another parent.
  struct Acquaintance {
    std::vector<int> listed{};  // by the driver
    std::vector<int> meant{};   // the same, as the host calls them
    gpu::ProcessTable processes{};
    std::chrono::steady_clock::time_point made{};
  };

  Reader(boost::asio::any_io_executor executor, const Clock& daemons, gpu::Provider& devices,
         std::vector<std::uint32_t> numbers, std::vector<std::uint16_t> listened, Pace wished,
         std::function<void(Sample)> listener)
      : strand(std::move(executor)),
        clock(daemons),
        provider(devices),
        indices(std::move(numbers)),
        ports(std::move(listened)),
        pace(wished),
        hear(std::make_shared<std::function<void(Sample)>>(std::move(listener))) {}

  void run();
  Sample sample(DeviceId device);
  const Acquaintance& get_to_know(DeviceId device, const gpu::RawReading& reading);
  void look_for_listeners();

  boost::asio::any_io_executor strand;
  const Clock clock;
  gpu::Provider& provider;
  const std::vector<std::uint32_t> indices;
  const std::vector<std::uint16_t> ports;
  const Pace pace;
  // Shared with what was posted: a sample that arrives after stop() finds it empty. Of the strand alone.
  std::shared_ptr<std::function<void(Sample)>> hear;

  // Of the thread alone.
  gpu::PidTranslator inner_pids;
  std::map<DeviceId, Acquaintance> acquaintances;
  std::map<std::uint16_t, int> listeners;
  std::map<int, std::uint64_t> listener_starts;
  std::chrono::steady_clock::time_point look_again{};

  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> stopping = false;  // set under the mutex
  bool over = false;                   // the thread is done
  bool quick = true;
  bool pace_changed = false;
  std::set<DeviceId> wanted;
};

Sampling::Sampling(boost::asio::any_io_executor strand, const Clock& clock, gpu::Provider& provider,
                   std::vector<std::uint32_t> indices, std::vector<std::uint16_t> ports, Pace pace,
                   std::function<void(Sample)> hear)
    : reader_(std::make_shared<Reader>(std::move(strand), clock, provider, std::move(indices),
                                       std::move(ports), pace, std::move(hear))) {}

Sampling::~Sampling() {
  stop();
  if (!ended()) thread_.detach();
}

void Sampling::start() {
  if (thread_.joinable()) return;
  thread_ = std::thread([reader = reader_] {
    reader->run();
    const std::lock_guard lock(reader->mutex);
    reader->over = true;
    reader->changed.notify_all();
  });
}

void Sampling::stop() {
  *reader_->hear = nullptr;
  const std::lock_guard lock(reader_->mutex);
  if (reader_->stopping.exchange(true)) return;
  stopped_ = std::chrono::steady_clock::now();
  reader_->changed.notify_all();
}

bool Sampling::ended() {
  if (!thread_.joinable()) return true;
  {
    std::unique_lock lock(reader_->mutex);
    const auto patience = stopped_ + kDriverPatience;
    if (!reader_->changed.wait_until(lock, patience, [&] { return reader_->over; })) return false;
  }
  thread_.join();
  return true;
}

void Sampling::hurry(bool quick) {
  {
    const std::lock_guard lock(reader_->mutex);
    if (reader_->quick == quick) return;
    reader_->quick = quick;
    reader_->pace_changed = true;
  }
  reader_->changed.notify_all();
}

void Sampling::read_now(DeviceId device) {
  {
    const std::lock_guard lock(reader_->mutex);
    reader_->wanted.insert(device);
  }
  reader_->changed.notify_all();
}

// All devices at the pace, those asked for at once.
void Sampling::Reader::run() {
  SteadyTime due{};
  std::unique_lock lock(mutex);
  while (!stopping) {
    const auto now = std::chrono::steady_clock::now();
    if (pace_changed) due = std::min(due, now + (quick ? pace.quick : pace.idle)), pace_changed = false;
    if (now >= due) {
      for (std::size_t i = 0; i < indices.size(); ++i) wanted.insert(DeviceId{i});
      due = now + (quick ? pace.quick : pace.idle);
    }
    if (wanted.empty()) {
      changed.wait_until(lock, due);
      continue;
    }
    const std::set<DeviceId> now_wanted = std::exchange(wanted, {});
    for (const DeviceId device : now_wanted) {
      lock.unlock();
      Sample seen = sample(device);
      lock.lock();
      if (stopping) return;  // the strand may be gone
      boost::asio::post(strand, [hear = hear, seen = std::move(seen)]() mutable {
        if (*hear) (*hear)(std::move(seen));
      });
    }
  }
}

Sample Sampling::Reader::sample(DeviceId device) {
  const std::uint32_t index = indices[device.value];
  Sample sample{.device = device, .taken = clock.now(), .raw = provider.read(index)};
  if (!sample.raw || stopping) return sample;
  sample.vitals = provider.read_telemetry(index);
  if (!sample.raw->processes.empty() || !sample.raw->unreadable_pids.empty()) {
    const Acquaintance& known = get_to_know(device, *sample.raw);
    for (std::size_t i = 0; i < known.meant.size(); ++i) sample.raw->processes[i].pid = known.meant[i];
    sample.processes = known.processes;
  }
  sample.listeners = listeners;
  return sample;
}

const Sampling::Reader::Acquaintance& Sampling::Reader::get_to_know(DeviceId device,
                                                                    const gpu::RawReading& reading) {
  std::vector<int> listed;
  for (const gpu::ProcessUsage& process : reading.processes) listed.push_back(process.pid);
  listed.insert(listed.end(), reading.unreadable_pids.begin(), reading.unreadable_pids.end());
  Acquaintance& known = acquaintances[device];
  const auto now = std::chrono::steady_clock::now();
  if (known.listed == listed && now < known.made + kTrustAcquaintance) return known;

  look_for_listeners();
  known = {.listed = std::move(listed), .made = now};
  std::vector<gpu::ProcessUsage> processes = reading.processes;
  inner_pids.translate(processes);
  for (const gpu::ProcessUsage& process : processes) known.meant.push_back(process.pid);
  std::vector<int> pids = known.meant;
  pids.insert(pids.end(), reading.unreadable_pids.begin(), reading.unreadable_pids.end());
  for (const auto& [port, pid] : listeners) pids.push_back(pid);
  known.processes = gpu::read_process_table(pids);
  return known;
}

void Sampling::Reader::look_for_listeners() {
  if (ports.empty()) return;
  const auto still_there = [](const auto& listener) {
    const auto facts = gpu::read_process(listener.first);
    return facts && facts->start_time == listener.second;
  };
  bool all_there = true;
  for (const auto& listener : listener_starts) all_there = all_there && still_there(listener);
  const auto now = std::chrono::steady_clock::now();
  const bool all_found = listeners.size() == ports.size();
  if (all_there && (all_found || now < look_again)) return;
  look_again = now + kLookForListeners;
  listeners.clear();
  listener_starts.clear();
  for (const std::uint16_t port : ports) {
    const auto pid = gpu::find_listener_pid(port);
    const auto facts = pid ? gpu::read_process(*pid) : std::nullopt;
    if (!facts) continue;
    listeners[port] = *pid;
    listener_starts[*pid] = facts->start_time;
  }
}

}  // namespace mgpu::engine
