#include "engine/sampling.h"

#include <utility>

#include <boost/asio/post.hpp>

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
  if (at == kNever) return SteadyTime::max();
  // Rounded up: a timer that fires a moment early would find nothing due.
  return start_ + Duration{at.us + 1};
}

std::chrono::system_clock::time_point Clock::wall(Instant at) const { return wall_start_ + Duration{at.us}; }

Sampling::Sampling(boost::asio::any_io_executor strand, const Clock& clock, gpu::Provider& provider,
                   std::vector<std::uint32_t> indices, std::vector<std::uint16_t> ports, Pace pace,
                   std::function<void(Sample)> hear)
    : strand_(std::move(strand)),
      clock_(clock),
      provider_(provider),
      indices_(std::move(indices)),
      ports_(std::move(ports)),
      pace_(pace),
      hear_(std::make_shared<std::function<void(Sample)>>(std::move(hear))) {}

Sampling::~Sampling() { stop(); }

void Sampling::start() {
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
}

void Sampling::stop() {
  *hear_ = nullptr;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Sampling::hurry(bool quick) {
  {
    const std::lock_guard lock(mutex_);
    if (quick_ == quick) return;
    quick_ = quick;
    pace_changed_ = true;
  }
  changed_.notify_one();
}

void Sampling::read_now(DeviceId device) {
  {
    const std::lock_guard lock(mutex_);
    wanted_.insert(device);
  }
  changed_.notify_one();
}

// All devices at the pace, those asked for at once.
void Sampling::run() {
  SteadyTime due{};
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const auto now = std::chrono::steady_clock::now();
    if (pace_changed_) due = std::min(due, now + (quick_ ? pace_.quick : pace_.idle)), pace_changed_ = false;
    if (now >= due) {
      for (std::size_t i = 0; i < indices_.size(); ++i) wanted_.insert(DeviceId{i});
      due = now + (quick_ ? pace_.quick : pace_.idle);
    }
    if (wanted_.empty()) {
      changed_.wait_until(lock, due);
      continue;
    }
    const std::set<DeviceId> wanted = std::exchange(wanted_, {});
    lock.unlock();
    for (const DeviceId device : wanted)
      boost::asio::post(strand_, [hear = hear_, sample = sample(device)]() mutable {
        if (*hear) (*hear)(std::move(sample));
      });
    lock.lock();
  }
}

Sample Sampling::sample(DeviceId device) {
  const std::uint32_t index = indices_[device.value];
  Sample sample{.device = device, .taken = clock_.now(), .raw = provider_.read(index)};
  if (!sample.raw) return sample;
  sample.vitals = provider_.vitals(index);
  if (!sample.raw->processes.empty() || !sample.raw->unseen.empty()) {
    const Acquaintance& known = get_to_know(device, *sample.raw);
    for (std::size_t i = 0; i < known.meant.size(); ++i) sample.raw->processes[i].pid = known.meant[i];
    sample.processes = known.processes;
  }
  sample.listeners = listeners_;
  return sample;
}

const Sampling::Acquaintance& Sampling::get_to_know(DeviceId device, const gpu::RawReading& reading) {
  std::vector<int> listed;
  for (const gpu::ProcessUse& process : reading.processes) listed.push_back(process.pid);
  listed.insert(listed.end(), reading.unseen.begin(), reading.unseen.end());
  Acquaintance& known = acquaintances_[device];
  const auto now = std::chrono::steady_clock::now();
  if (known.listed == listed && now < known.made + kTrustAcquaintance) return known;

  look_for_listeners();
  known = {.listed = std::move(listed), .made = now};
  std::vector<gpu::ProcessUse> processes = reading.processes;
  inner_pids_.translate(processes);
  for (const gpu::ProcessUse& process : processes) known.meant.push_back(process.pid);
  std::vector<int> pids = known.meant;
  pids.insert(pids.end(), reading.unseen.begin(), reading.unseen.end());
  for (const auto& [port, pid] : listeners_) pids.push_back(pid);
  known.processes = gpu::read_process_table(pids);
  return known;
}

void Sampling::look_for_listeners() {
  if (ports_.empty()) return;
  const auto still_there = [](const auto& listener) {
    const auto facts = gpu::read_process(listener.first);
    return facts && facts->start_time == listener.second;
  };
  bool all_there = true;
  for (const auto& listener : listener_starts_) all_there = all_there && still_there(listener);
  const auto now = std::chrono::steady_clock::now();
  const bool all_found = listeners_.size() == ports_.size();
  if (all_there && (all_found || now < look_again_)) return;
  look_again_ = now + kLookForListeners;
  listeners_.clear();
  listener_starts_.clear();
  for (const std::uint16_t port : ports_) {
    const auto pid = gpu::listener_pid(port);
    const auto facts = pid ? gpu::read_process(*pid) : std::nullopt;
    if (!facts) continue;
    listeners_[port] = *pid;
    listener_starts_[*pid] = facts->start_time;
  }
}

}  // namespace mgpu::engine
