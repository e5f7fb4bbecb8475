#include "replay/virtual_time.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.h"

namespace mgpu::replay {
namespace {

constexpr double kRoundingSlackUs = 0.5;  // work that may remain because of rounding

}  // namespace

void VirtualClock::schedule_at(Instant when, std::function<void()> callback) {
  timers_.push({std::max(when, now_), ++sequence_, std::move(callback)});
}

void VirtualClock::run_next() {
  MGPU_ASSERT(!timers_.empty(), "a timer is scheduled while the replay is not finished");
  now_ = timers_.top().at;
  // Moving from the const top is safe, because the order does not depend on the callback.
  const auto callback = std::move(const_cast<Timer&>(timers_.top()).callback);
  timers_.pop();
  callback();
}

SharedProcessor::SharedProcessor(VirtualClock& clock, std::function<void(std::size_t)> on_done)
    : clock_(clock), on_done_(std::move(on_done)) {}

void SharedProcessor::start(std::size_t job, Duration work) {
  update_progress();
  running_.push_back({job, static_cast<double>(work.count())});
  schedule_completion();
}

void SharedProcessor::update_progress() {
  const auto elapsed_us = static_cast<double>((clock_.now() - updated_at_).count());
  updated_at_ = clock_.now();
  if (running_.empty()) return;
  const double progress_us = elapsed_us / static_cast<double>(running_.size());
  for (RunningJob& running : running_) running.remaining_us -= progress_us;
}

void SharedProcessor::schedule_completion() {
  ++generation_;
  if (running_.empty()) return;
  const double least = std::ranges::min_element(running_, {}, &RunningJob::remaining_us)->remaining_us;
  const double delay_us = std::max(0.0, least) * static_cast<double>(running_.size());
  clock_.schedule_after(Duration{static_cast<std::int64_t>(std::ceil(delay_us))},
                        [this, generation = generation_] { complete(generation); });
}

void SharedProcessor::complete(std::uint64_t generation) {
  if (generation != generation_) return;
  update_progress();
  std::vector<std::size_t> finished;
  for (const RunningJob& running : running_)
    if (running.remaining_us <= kRoundingSlackUs) finished.push_back(running.job);
  std::erase_if(running_, [](const RunningJob& running) { return running.remaining_us <= kRoundingSlackUs; });
  schedule_completion();
  for (const std::size_t job : finished) on_done_(job);
}

bool PageCache::contains(ResidentId resident) const {
  return std::ranges::find(entries_, resident, &CachedWeights::resident) != entries_.end();
}

void PageCache::read(ResidentId resident, Bytes weights) {
  if (weights > capacity_) return;
  const auto found = std::ranges::find(entries_, resident, &CachedWeights::resident);
  if (found != entries_.end()) {
    used_ -= found->weights;
    entries_.erase(found);
  }
  entries_.push_front({resident, weights});
  used_ += weights;
  while (used_ > capacity_) {
    used_ -= entries_.back().weights;
    entries_.pop_back();
  }
}

}  // namespace mgpu::replay
