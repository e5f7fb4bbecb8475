#include "best.h"

#include <algorithm>
#include <bit>
#include <cstdint>
#include <map>
#include <utility>

namespace mgpu::bench {
namespace {

using Mask = std::uint32_t;  // a set of consumers

struct Waiting {
  std::size_t who = 0;
  Instant arrived{};
  Duration work{};
};

// Where a partial order has come to.
struct State {
  std::vector<std::uint8_t> served{};  // jobs, by consumer
  Mask warm = 0;
  std::size_t last = 0;  // who computed last,
  Instant began{};       // from when
  Instant free{};        // to when
  Instant loaded{};      // when the last load ended: one at a time
  Duration waited{};     // all that were served
  Duration at_least{};   // and what those who are there and not served have waited already
};

class Search {
 public:
  Search(const replay::Machine& house, const replay::Workload& window, std::size_t width)
      : house_(house), width_(width), queues_(house.world.registry.consumers.size()) {
    for (const replay::Flow& flow : window.flows) {
      const replay::FlowStep& step = flow.steps.front();
      queues_[step.consumer.value].push_back({step.consumer.value, flow.start, step.work});
      ++jobs_;
    }
  }

  Duration best() {
    std::vector<State> beam{{.served = std::vector<std::uint8_t>(queues_.size())}};
    for (std::size_t i = 0; i < jobs_; ++i) beam = narrowed(expanded(beam));
    return jobs_ == 0 ? Duration{} : beam.front().waited / static_cast<std::int64_t>(jobs_);
  }

 private:
  Bytes need(std::size_t who) const { return footprint(who) + spec(who).working; }
  Bytes footprint(std::size_t who) const { return spec(who).footprint; }
  const Consumer& spec(std::size_t who) const { return house_.world.registry.consumers[who].spec; }
  Bytes footprints(Mask set) const {
    Bytes bytes{};
    for (std::size_t who = 0; who < queues_.size(); ++who)
      if ((set >> who & 1) != 0) bytes += footprint(who);
    return bytes;
  }
  Bytes capacity() const {
    return house_.device_memory.front() - house_.world.registry.devices.front().reserve;
  }

  std::vector<State> expanded(const std::vector<State>& beam) {
    std::vector<State> next;
    for (const State& state : beam)
      for (std::size_t who = 0; who < queues_.size(); ++who)
        if (state.served[who] < queues_[who].size()) serve(state, queues_[who][state.served[who]], next);
    return next;
  }

  void serve(const State& state, const Waiting& job, std::vector<State>& next) {
    const Mask own = Mask{1} << job.who;
    if ((state.warm & own) != 0) {
      next.push_back(after(state, job, state.warm, std::max(state.free, job.arrived), state.loaded));
      return;
    }
    for (const Mask leaving : smallest_sets_that_suffice(state.warm, job.who)) {
      const Mask staying = state.warm & ~leaving;
      const Instant ready = load_end(state, job, leaving, staying);
      next.push_back(after(state, job, staying | own, std::max(state.free, ready), ready));
    }
  }

  // The load begins when who is loaded for has come, when the load before has ended, and beside the last job
  // if both fit; else after it.
  Instant load_end(const State& state, const Waiting& job, Mask leaving, Mask staying) const {
    const bool beside = (leaving >> state.last & 1) == 0 &&
                        footprints(staying) + spec(state.last).working + need(job.who) <= capacity();
    Instant begin = std::max({job.arrived, state.loaded, beside ? state.began : state.free});
    if (leaving != 0) begin = begin + house_.costs[job.who].unload;
    return begin + house_.costs[job.who].load_cold;
  }

  std::vector<Mask> smallest_sets_that_suffice(Mask warm, std::size_t who) const {
    std::vector<Mask> found;
    for (Mask set = warm;; set = (set - 1) & warm) {
      if (footprints(warm & ~set) + need(who) <= capacity()) found.push_back(set);
      if (set == 0) break;
    }
    std::ranges::sort(found, {}, [](Mask set) { return std::popcount(set); });
    std::vector<Mask> smallest;
    for (const Mask set : found)
      if (std::ranges::none_of(smallest, [&](Mask smaller) { return (set & smaller) == smaller; }))
        smallest.push_back(set);
    return smallest;
  }

  State after(const State& state, const Waiting& job, Mask warm, Instant start, Instant loaded) const {
    State next = state;
    ++next.served[job.who];
    next.warm = warm;
    next.last = job.who;
    next.began = start;
    next.free = start + job.work;
    next.loaded = loaded;
    next.waited += start - job.arrived;
    next.at_least = next.waited;
    for (std::size_t who = 0; who < queues_.size(); ++who)
      for (std::size_t i = next.served[who]; i < queues_[who].size(); ++i)
        next.at_least += std::max(Duration{}, next.free - queues_[who][i].arrived);
    return next;
  }

  // Of states that have served the same with the same warm, the one that is better in every way is enough; of
  // the rest, the most promising.
  std::vector<State> narrowed(std::vector<State> states) const {
    std::ranges::sort(states, {}, &State::at_least);
    std::map<std::pair<std::vector<std::uint8_t>, Mask>, std::vector<State>> kinds;
    std::vector<State> kept;
    for (State& state : states) {
      if (kept.size() >= width_) break;
      std::vector<State>& same = kinds[{state.served, state.warm}];
      const bool worse = std::ranges::any_of(same, [&](const State& other) {
        return other.waited <= state.waited && other.free <= state.free && other.loaded <= state.loaded;
      });
      if (worse) continue;
      same.push_back(state);
      kept.push_back(std::move(state));
    }
    return kept;
  }

  const replay::Machine& house_;
  std::size_t width_;
  std::vector<std::vector<Waiting>> queues_;  // by consumer, in order of arrival
  std::size_t jobs_ = 0;
};

}  // namespace

std::vector<replay::Workload> windows_of(const replay::Outcome& outcome, std::size_t length,
                                         std::size_t at_most) {
  std::vector<replay::Workload> windows;
  for (std::size_t i = 0; i + length <= outcome.jobs.size() && windows.size() < at_most; i += length) {
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

Duration best_mean_wait(const replay::Machine& house, const replay::Workload& window, std::size_t width) {
  return Search(house, window, width).best();
}

}  // namespace mgpu::bench
