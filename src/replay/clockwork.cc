#include "replay/clockwork.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/assert.h"

namespace mgpu::replay {
namespace {

constexpr double kDone = 0.5;  // microseconds of work that rounding may leave over

}  // namespace

void Agenda::at(Instant when, std::function<void()> act) {
  items_.push({std::max(when, now_), ++order_, std::move(act)});
}

void Agenda::next() {
  MGPU_ASSERT(!items_.empty(), "time goes on only while something is to happen");
  now_ = items_.top().at;
  const auto act = std::move(const_cast<Item&>(items_.top()).act);  // the order does not depend on it
  items_.pop();
  act();
}

Processor::Processor(Agenda& agenda, std::function<void(std::size_t)> done)
    : agenda_(agenda), done_(std::move(done)) {}

void Processor::start(std::size_t job, Duration work) {
  catch_up();
  running_.push_back({job, static_cast<double>(work.count())});
  plan_next();
}

void Processor::catch_up() {
  const auto passed = static_cast<double>((agenda_.now() - as_of_).count());
  as_of_ = agenda_.now();
  if (running_.empty()) return;
  const double each = passed / static_cast<double>(running_.size());
  for (Running& running : running_) running.left_us -= each;
}

void Processor::plan_next() {
  ++plan_;
  if (running_.empty()) return;
  const double least = std::ranges::min_element(running_, {}, &Running::left_us)->left_us;
  const double needed = std::max(0.0, least) * static_cast<double>(running_.size());
  agenda_.after(Duration{static_cast<std::int64_t>(std::ceil(needed))},
                [this, plan = plan_] { finish(plan); });
}

void Processor::finish(std::uint64_t plan) {
  if (plan != plan_) return;
  catch_up();
  std::vector<std::size_t> finished;
  for (const Running& running : running_)
    if (running.left_us <= kDone) finished.push_back(running.job);
  std::erase_if(running_, [](const Running& running) { return running.left_us <= kDone; });
  plan_next();
  for (const std::size_t job : finished) done_(job);
}

bool PageCache::holds(ResidentId resident) const {
  return std::ranges::find(kept_, resident, &Kept::resident) != kept_.end();
}

void PageCache::read(ResidentId resident, Bytes weights) {
  if (weights > size_) return;
  const auto found = std::ranges::find(kept_, resident, &Kept::resident);
  if (found != kept_.end()) {
    used_ -= found->weights;
    kept_.erase(found);
  }
  kept_.push_front({resident, weights});
  used_ += weights;
  while (used_ > size_) {
    used_ -= kept_.back().weights;
    kept_.pop_back();
  }
}

}  // namespace mgpu::replay
