#include "best_order.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <utility>

namespace mgpu::bench {
namespace {

using Mask = std::uint32_t;  // a set of consumers

struct WaitingJob {
  std::size_t consumer = 0;
  Instant arrived{};
  Duration work{};
};

// Where a partial order has come to.
struct PartialSchedule {
  std::vector<std::uint8_t> served{};  // jobs, by consumer
  Mask warm = 0;
  std::size_t last_consumer = 0;  // who computed last,
  Instant last_start{};           // from when
  Instant free_at{};              // to when
  Instant last_load_end{};        // when the last load ended: one at a time
  Duration total_wait{};          // all that were served
  Duration wait_lower_bound{};    // and what those who are there and not served have waited already
};

class BeamSearch {
 public:
  BeamSearch(const replay::Machine& house, const replay::Workload& window, std::size_t beam_width)
      : house_(house), beam_width_(beam_width), queues_(house.world.registry.consumers.size()) {
    for (const replay::Flow& flow : window.flows) {
      const replay::FlowStep& step = flow.steps.front();
      queues_[step.consumer.value].push_back({step.consumer.value, flow.start, step.work});
      ++jobs_;
    }
  }

  Duration lowest_mean_wait() {
    std::vector<PartialSchedule> beam{{.served = std::vector<std::uint8_t>(queues_.size())}};
    for (std::size_t i = 0; i < jobs_; ++i) beam = prune(expand(beam));
    return jobs_ == 0 ? Duration{} : beam.front().total_wait / static_cast<std::int64_t>(jobs_);
  }

 private:
  Bytes needed_memory(std::size_t consumer) const { return footprint(consumer) + spec(consumer).working; }
  Bytes footprint(std::size_t consumer) const { return spec(consumer).footprint; }
  const Consumer& spec(std::size_t consumer) const { return house_.world.registry.consumers[consumer].spec; }
  Bytes footprints(Mask set) const {
    Bytes bytes{};
    for (std::size_t consumer = 0; consumer < queues_.size(); ++consumer)
      if ((set >> consumer & 1) != 0) bytes += footprint(consumer);
    return bytes;
  }
  Bytes capacity() const {
    return house_.device_memory.front() - house_.world.registry.devices.front().reserve;
  }

  std::vector<PartialSchedule> expand(const std::vector<PartialSchedule>& beam) {
    std::vector<PartialSchedule> next;
    for (const PartialSchedule& state : beam)
      for (std::size_t consumer = 0; consumer < queues_.size(); ++consumer)
        if (state.served[consumer] < queues_[consumer].size())
          append_successors(state, queues_[consumer][state.served[consumer]], next);
    return next;
  }

  void append_successors(const PartialSchedule& state, const WaitingJob& job,
                         std::vector<PartialSchedule>& next) {
    const Mask own = Mask{1} << job.consumer;
    if ((state.warm & own) != 0) {
      next.push_back(
          successor(state, job, state.warm, std::max(state.free_at, job.arrived), state.last_load_end));
      return;
    }
    for (const Mask leaving : minimal_eviction_sets(state.warm, job.consumer)) {
      const Mask staying = state.warm & ~leaving;
      const Instant ready = load_end(state, job, leaving, staying);
      next.push_back(successor(state, job, staying | own, std::max(state.free_at, ready), ready));
    }
  }

  // The load begins when who is loaded for has come, when the load before has ended, and beside the last job
  // if both fit; else after it.
  Instant load_end(const PartialSchedule& state, const WaitingJob& job, Mask leaving, Mask staying) const {
    const bool fits_beside =
        (leaving >> state.last_consumer & 1) == 0 &&
        footprints(staying) + spec(state.last_consumer).working + needed_memory(job.consumer) <= capacity();
    Instant begin =
        std::max({job.arrived, state.last_load_end, fits_beside ? state.last_start : state.free_at});
    if (leaving != 0) begin = begin + house_.costs[job.consumer].unload;
    return begin + house_.costs[job.consumer].load_cold;
  }

  std::vector<Mask> minimal_eviction_sets(Mask warm, std::size_t consumer) const {
    std::vector<Mask> found;
    for (Mask set = warm;; set = (set - 1) & warm) {
      if (footprints(warm & ~set) + needed_memory(consumer) <= capacity()) found.push_back(set);
      if (set == 0) break;
    }
    std::ranges::sort(found, {}, [](Mask set) { return std::popcount(set); });
    std::vector<Mask> smallest;
    for (const Mask set : found)
      if (std::ranges::none_of(smallest, [&](Mask smaller) { return (set & smaller) == smaller; }))
        smallest.push_back(set);
    return smallest;
  }

  PartialSchedule successor(const PartialSchedule& state, const WaitingJob& job, Mask warm, Instant start,
                            Instant load_ended) const {
    PartialSchedule next = state;
    ++next.served[job.consumer];
    next.warm = warm;
    next.last_consumer = job.consumer;
    next.last_start = start;
    next.free_at = start + job.work;
    next.last_load_end = load_ended;
    next.total_wait += start - job.arrived;
    next.wait_lower_bound = next.total_wait;
    for (std::size_t consumer = 0; consumer < queues_.size(); ++consumer)
      for (std::size_t i = next.served[consumer]; i < queues_[consumer].size(); ++i)
        next.wait_lower_bound += std::max(Duration{}, next.free_at - queues_[consumer][i].arrived);
    return next;
  }

  // Of states that have served the same with the same warm, the one that is better in every way is enough; of
  // the rest, the most promising.
  std::vector<PartialSchedule> prune(std::vector<PartialSchedule> states) const {
    std::ranges::sort(states, {}, &PartialSchedule::wait_lower_bound);
    std::map<std::pair<std::vector<std::uint8_t>, Mask>, std::vector<PartialSchedule>> kinds;
    std::vector<PartialSchedule> kept;
    for (PartialSchedule& state : states) {
      if (kept.size() >= beam_width_) break;
      std::vector<PartialSchedule>& same_served = kinds[{state.served, state.warm}];
      const bool worse = std::ranges::any_of(same_served, [&](const PartialSchedule& other) {
        return other.total_wait <= state.total_wait && other.free_at <= state.free_at &&
               other.last_load_end <= state.last_load_end;
      });
      if (worse) continue;
      same_served.push_back(state);
      kept.push_back(std::move(state));
    }
    return kept;
  }

  const replay::Machine& house_;
  std::size_t beam_width_;
  std::vector<std::vector<WaitingJob>> queues_;  // by consumer, in order of arrival
  std::size_t jobs_ = 0;
};

}  // namespace

std::vector<replay::Workload> split_into_windows(const replay::Outcome& outcome, std::size_t length,
                                                 std::size_t max_windows) {
  std::vector<replay::Workload> windows;
  for (std::size_t i = 0; i + length <= outcome.jobs.size() && windows.size() < max_windows; i += length) {
    replay::Workload& window = windows.emplace_back();
    for (std::size_t k = i; k < i + length; ++k) {
      const replay::Job& job = outcome.jobs[k];
      window.flows.push_back({.start = Instant{2'000'000} + (job.arrived - outcome.jobs[i].arrived),
                              .user = job.user,
                              .steps = {}});
      window.flows.back().steps.push_back(
          {.consumer = job.consumer, .resident = ResidentId{job.consumer.value}, .work = job.work});
    }
  }
  return windows;
}

Duration best_mean_wait(const replay::Machine& house, const replay::Workload& window,
                        std::size_t beam_width) {
  return BeamSearch(house, window, beam_width).lowest_mean_wait();
}

}  // namespace mgpu::bench
