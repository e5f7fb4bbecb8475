#include "best_order.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <utility>

namespace mgpu::bench {
namespace {

using ConsumerSet = std::uint32_t;  // bit mask

struct WaitingJob {
  std::size_t consumer = 0;
  Instant arrived{};
  Duration work{};
};

// The state after the first jobs of an order.
struct PartialSchedule {
  std::vector<std::uint8_t> served{};  // number of jobs, by consumer
  ConsumerSet warm = 0;
  std::size_t last_consumer = 0;  // of the last job
  Instant last_start{};           // start of the last job
  Instant free_at{};              // end of the last job
  Instant last_load_end{};        // loads run one at a time
  Duration total_wait{};          // of the served jobs
  Duration wait_lower_bound{};    // plus what the remaining jobs have waited until free_at
};

class BeamSearch {
 public:
  BeamSearch(const replay::Machine& machine, const replay::Workload& window, std::size_t beam_width)
      : machine_(machine), beam_width_(beam_width), queues_(machine.world.registry.consumers.size()) {
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
  const Consumer& spec(std::size_t consumer) const {
    return machine_.world.registry.consumers[consumer].spec;
  }
  Bytes footprints(ConsumerSet set) const {
    Bytes bytes{};
    for (std::size_t consumer = 0; consumer < queues_.size(); ++consumer)
      if ((set >> consumer & 1) != 0) bytes += footprint(consumer);
    return bytes;
  }
  Bytes capacity() const {
    return machine_.device_memory.front() - machine_.world.registry.devices.front().reserve;
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
    const ConsumerSet own = ConsumerSet{1} << job.consumer;
    if ((state.warm & own) != 0) {
      next.push_back(
          successor(state, job, state.warm, std::max(state.free_at, job.arrived), state.last_load_end));
      return;
    }
    for (const ConsumerSet evicted : minimal_eviction_sets(state.warm, job.consumer)) {
      const ConsumerSet kept = state.warm & ~evicted;
      const Instant loaded_at = load_end(state, job, evicted, kept);
      next.push_back(successor(state, job, kept | own, std::max(state.free_at, loaded_at), loaded_at));
    }
  }

  // The load starts after the job's arrival and the load before. It runs beside the last job if both fit,
  // otherwise after it.
  Instant load_end(const PartialSchedule& state, const WaitingJob& job, ConsumerSet evicted,
                   ConsumerSet kept) const {
    const bool fits_beside =
        (evicted >> state.last_consumer & 1) == 0 &&
        footprints(kept) + spec(state.last_consumer).working + needed_memory(job.consumer) <= capacity();
    Instant start =
        std::max({job.arrived, state.last_load_end, fits_beside ? state.last_start : state.free_at});
    if (evicted != 0) start = start + machine_.costs[job.consumer].unload;
    return start + machine_.costs[job.consumer].load_cold;
  }

  // The sets whose eviction makes enough room, without those that contain a smaller such set.
  std::vector<ConsumerSet> minimal_eviction_sets(ConsumerSet warm, std::size_t consumer) const {
    std::vector<ConsumerSet> sufficient;
    for (ConsumerSet set = warm;; set = (set - 1) & warm) {
      if (footprints(warm & ~set) + needed_memory(consumer) <= capacity()) sufficient.push_back(set);
      if (set == 0) break;
    }
    std::ranges::sort(sufficient, {}, [](ConsumerSet set) { return std::popcount(set); });
    std::vector<ConsumerSet> minimal;
    for (const ConsumerSet set : sufficient)
      if (std::ranges::none_of(minimal, [&](ConsumerSet smaller) { return (set & smaller) == smaller; }))
        minimal.push_back(set);
    return minimal;
  }

  PartialSchedule successor(const PartialSchedule& state, const WaitingJob& job, ConsumerSet warm,
                            Instant start, Instant load_ended) const {
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

  // Drops states that are no better in any respect than another one with the same served jobs and warm
  // residents. Of the rest, keeps those with the lowest bounds.
  std::vector<PartialSchedule> prune(std::vector<PartialSchedule> states) const {
    std::ranges::sort(states, {}, &PartialSchedule::wait_lower_bound);
    std::map<std::pair<std::vector<std::uint8_t>, ConsumerSet>, std::vector<PartialSchedule>> comparable;
    std::vector<PartialSchedule> kept;
    for (PartialSchedule& state : states) {
      if (kept.size() >= beam_width_) break;
      std::vector<PartialSchedule>& others = comparable[{state.served, state.warm}];
      const bool is_dominated = std::ranges::any_of(others, [&](const PartialSchedule& other) {
        return other.total_wait <= state.total_wait && other.free_at <= state.free_at &&
               other.last_load_end <= state.last_load_end;
      });
      if (is_dominated) continue;
      others.push_back(state);
      kept.push_back(std::move(state));
    }
    return kept;
  }

  const replay::Machine& machine_;
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

Duration best_mean_wait(const replay::Machine& machine, const replay::Workload& window,
                        std::size_t beam_width) {
  return BeamSearch(machine, window, beam_width).lowest_mean_wait();
}

}  // namespace mgpu::bench
