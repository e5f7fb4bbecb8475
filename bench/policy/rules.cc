#include "rules.h"

#include <algorithm>
#include <list>
#include <utility>

#include "replay/workload_driver.h"

namespace mgpu::bench {
namespace {

using replay::Outcome;
using ConsumerIndex = std::size_t;  // also that of its resident

enum class LoadState : std::uint8_t { cold, loading, warm, evicting };

// Simulates the device and the workload. The rule is called after every event and decides what to do next.
class RuleSimulation {
 public:
  using Rule = void (*)(RuleSimulation&);

  RuleSimulation(const replay::Machine& machine, const replay::Workload& workload, Rule rule)
      : machine_(machine),
        rule_(rule),
        driver_(clock_, workload, [this](std::size_t job, const replay::FlowStep&) { on_arrival(job); }),
        processor_(clock_, [this](std::size_t job) { on_job_done(job); }),
        cache_(machine.page_cache),
        load_states_(machine.world.registry.consumers.size()),
        running_jobs_(load_states_.size()),
        last_used_(load_states_.size()) {}

  Outcome run() {
    clock_.schedule_at(Instant{1'000'000}, [this] { driver_.start(); });
    while (driver_.has_open_flows()) clock_.run_next();
    outcome_.jobs = std::move(driver_.jobs());
    outcome_.end = clock_.now();
    return std::move(outcome_);
  }

  // --- state for the rule ---

  const std::list<std::size_t>& waiting() const { return waiting_; }
  ConsumerIndex consumer_of(std::size_t job) {
    return static_cast<ConsumerIndex>(driver_.jobs()[job].consumer.value);
  }
  std::size_t consumers() const { return load_states_.size(); }
  LoadState load_state(ConsumerIndex consumer) const { return load_states_[consumer]; }
  bool is_idle(ConsumerIndex consumer) const { return running_jobs_[consumer] == 0; }
  bool is_processor_idle() const { return processor_.running_count() == 0; }
  bool is_moving_resident() const {
    return std::ranges::any_of(load_states_, [](LoadState state) {
      return state == LoadState::loading || state == LoadState::evicting;
    });
  }
  Bytes needed_memory(ConsumerIndex consumer) const {
    const Consumer& spec = machine_.world.registry.consumers[consumer].spec;
    return spec.footprint + spec.working;
  }
  Duration load_time(ConsumerIndex consumer) const { return machine_.costs[consumer].load_cold; }
  Bytes free_memory() const {
    return memory_left_by([this](ConsumerIndex consumer) { return needed_memory(consumer); });
  }
  // Without working memory: for a rule that runs one job at a time.
  Bytes free_memory_beside_footprints() const {
    return memory_left_by([this](ConsumerIndex consumer) {
      return machine_.world.registry.consumers[consumer].spec.footprint;
    });
  }
  // Warm and idle consumers, the least recently used first.
  std::vector<ConsumerIndex> idle_consumers() const {
    std::vector<ConsumerIndex> idle;
    for (ConsumerIndex i = 0; i < load_states_.size(); ++i)
      if (load_states_[i] == LoadState::warm && running_jobs_[i] == 0) idle.push_back(i);
    std::ranges::sort(idle, {}, [this](ConsumerIndex i) { return std::pair(last_used_[i], i); });
    return idle;
  }

  // --- actions of the rule ---

  void start(std::size_t job) {
    waiting_.remove(job);
    driver_.job_started(job);
    ++running_jobs_[consumer_of(job)];
    processor_.start(job, driver_.jobs()[job].work);
  }

  void load(ConsumerIndex consumer) {
    load_states_[consumer] = LoadState::loading;
    const ResidentId id{consumer};
    const bool is_cached = cache_.contains(id);
    const replay::Costs& costs = machine_.costs[consumer];
    clock_.schedule_after(
        is_cached ? costs.load_cached : costs.load_cold, [this, consumer, is_cached, began = clock_.now()] {
          cache_.read(ResidentId{consumer}, machine_.world.registry.consumers[consumer].spec.footprint);
          finish_move(consumer, replay::Activity::load, LoadState::warm, began,
                      is_cached ? LoadSource::cached : LoadSource::cold);
        });
  }

  void evict(ConsumerIndex consumer) {
    load_states_[consumer] = LoadState::evicting;
    clock_.schedule_after(machine_.costs[consumer].unload, [this, consumer, began = clock_.now()] {
      finish_move(consumer, replay::Activity::evict, LoadState::cold, began, LoadSource::cold);
    });
  }

  void mark_all_warm() { std::ranges::fill(load_states_, LoadState::warm); }

 private:
  template <class BytesOf>
  Bytes memory_left_by(BytesOf bytes_of) const {
    Bytes available = machine_.device_memory.front() - machine_.world.registry.devices.front().reserve;
    for (ConsumerIndex consumer = 0; consumer < load_states_.size(); ++consumer)
      if (load_states_[consumer] != LoadState::cold) available -= bytes_of(consumer);
    return available;
  }

  void on_arrival(std::size_t job) {
    driver_.enter_line(job, DeviceId{0});
    waiting_.push_back(job);
    rule_(*this);
  }

  void on_job_done(std::size_t job) {
    --running_jobs_[consumer_of(job)];
    last_used_[consumer_of(job)] = clock_.now();
    const replay::Job& ended = driver_.jobs()[job];
    outcome_.spans.push_back(
        {replay::Activity::run, ended.consumer, DeviceId{0}, ended.started, clock_.now(), LoadSource::cold});
    driver_.job_ended(job);
    rule_(*this);
  }

  void finish_move(ConsumerIndex consumer, replay::Activity activity, LoadState state, Instant began,
                   LoadSource source) {
    load_states_[consumer] = state;
    last_used_[consumer] = clock_.now();
    outcome_.spans.push_back({activity, ConsumerId{consumer}, DeviceId{0}, began, clock_.now(), source});
    rule_(*this);
  }

  const replay::Machine& machine_;
  Rule rule_;
  replay::VirtualClock clock_{};
  replay::WorkloadDriver driver_;
  replay::SharedProcessor processor_;
  replay::PageCache cache_;
  std::vector<LoadState> load_states_;
  std::vector<std::uint32_t> running_jobs_;
  std::vector<Instant> last_used_;
  std::list<std::size_t> waiting_{};
  Outcome outcome_{};
};

// The least recently used consumers whose eviction makes enough room, without those that are not needed for
// it; empty if all are not enough.
std::vector<ConsumerIndex> least_recently_used_victims(const RuleSimulation& simulation, Bytes deficit) {
  std::vector<ConsumerIndex> victims;
  Bytes freed{};
  for (const ConsumerIndex consumer : simulation.idle_consumers()) {
    if (freed >= deficit) break;
    victims.push_back(consumer);
    freed += simulation.needed_memory(consumer);
  }
  if (freed < deficit) return {};
  for (auto victim = victims.end(); victim != victims.begin();) {
    --victim;
    if (freed - simulation.needed_memory(*victim) < deficit) continue;
    freed -= simulation.needed_memory(*victim);
    victim = victims.erase(victim);
  }
  return victims;
}

void first_in_first_out(RuleSimulation& simulation) {
  if (simulation.waiting().empty() || !simulation.is_processor_idle() || simulation.is_moving_resident())
    return;
  const std::size_t job = simulation.waiting().front();
  const ConsumerIndex consumer = simulation.consumer_of(job);
  if (simulation.load_state(consumer) == LoadState::warm) return simulation.start(job);
  const Bytes deficit = simulation.needed_memory(consumer) - simulation.free_memory_beside_footprints();
  if (deficit <= Bytes{}) return simulation.load(consumer);
  for (const ConsumerIndex victim : least_recently_used_victims(simulation, deficit))
    simulation.evict(victim);
}

// Starts all waiting jobs whose consumer is warm.
void start_jobs_of_warm_consumers(RuleSimulation& simulation) {
  const std::list<std::size_t> waiting = simulation.waiting();
  for (const std::size_t job : waiting)
    if (simulation.load_state(simulation.consumer_of(job)) == LoadState::warm) simulation.start(job);
}

void swap_one(RuleSimulation& simulation) {
  start_jobs_of_warm_consumers(simulation);
  if (simulation.waiting().empty() || simulation.is_moving_resident()) return;
  for (ConsumerIndex consumer = 0; consumer < simulation.consumers(); ++consumer) {
    if (simulation.load_state(consumer) != LoadState::warm) continue;
    if (simulation.is_idle(consumer)) simulation.evict(consumer);
    return;
  }
  simulation.load(simulation.consumer_of(simulation.waiting().front()));
}

// Of all sets of warm consumers whose eviction makes enough room, the one that is the fastest to reload.
std::vector<ConsumerIndex> cheapest_victims(const RuleSimulation& simulation, Bytes deficit) {
  std::vector<ConsumerIndex> warm;
  for (ConsumerIndex consumer = 0; consumer < simulation.consumers(); ++consumer)
    if (simulation.load_state(consumer) == LoadState::warm) warm.push_back(consumer);
  std::vector<ConsumerIndex> best;
  Duration best_cost{INT64_MAX};
  for (std::uint64_t mask = 1; mask < (std::uint64_t{1} << warm.size()); ++mask) {
    std::vector<ConsumerIndex> chosen;
    Duration cost{};
    Bytes freed{};
    for (std::size_t i = 0; i < warm.size(); ++i) {
      if ((mask >> i & 1) == 0) continue;
      chosen.push_back(warm[i]);
      cost += simulation.load_time(warm[i]);
      freed += simulation.needed_memory(warm[i]);
    }
    if (freed >= deficit && cost < best_cost) best = chosen, best_cost = cost;
  }
  return best;
}

void swap_sets(RuleSimulation& simulation) {
  start_jobs_of_warm_consumers(simulation);
  if (simulation.waiting().empty() || simulation.is_moving_resident()) return;
  const ConsumerIndex consumer = simulation.consumer_of(simulation.waiting().front());
  const Bytes deficit = simulation.needed_memory(consumer) - simulation.free_memory();
  if (deficit <= Bytes{}) return simulation.load(consumer);
  const std::vector<ConsumerIndex> victims = cheapest_victims(simulation, deficit);
  if (std::ranges::all_of(victims, [&](ConsumerIndex victim) { return simulation.is_idle(victim); }))
    for (const ConsumerIndex victim : victims) simulation.evict(victim);
}

void least_recently_used(RuleSimulation& simulation) {
  start_jobs_of_warm_consumers(simulation);
  const std::list<std::size_t> waiting = simulation.waiting();
  for (const std::size_t job : waiting) {
    const ConsumerIndex consumer = simulation.consumer_of(job);
    if (simulation.load_state(consumer) != LoadState::cold) continue;
    const Bytes deficit = simulation.needed_memory(consumer) - simulation.free_memory();
    if (deficit <= Bytes{}) {
      simulation.load(consumer);
    } else if (!simulation.is_moving_resident()) {  // an eviction in progress may make the room
      for (const ConsumerIndex victim : least_recently_used_victims(simulation, deficit))
        simulation.evict(victim);
    }
  }
}

void all_resident(RuleSimulation& simulation) {
  simulation.mark_all_warm();
  if (!simulation.waiting().empty() && simulation.is_processor_idle())
    simulation.start(simulation.waiting().front());
}

struct NamedRule {
  std::string_view name{};
  RuleSimulation::Rule rule = nullptr;
};

constexpr NamedRule kRules[] = {{"charter", first_in_first_out},
                                {"swap_one", swap_one},
                                {"swap_sets", swap_sets},
                                {"lru", least_recently_used},
                                {"resident", all_resident}};

}  // namespace

std::vector<std::string_view> rule_names() {
  std::vector<std::string_view> names;
  for (const NamedRule& rule : kRules) names.push_back(rule.name);
  return names;
}

std::optional<Outcome> run_rule(std::string_view rule, const replay::Machine& machine,
                                const replay::Workload& workload) {
  const auto* found = std::ranges::find(kRules, rule, &NamedRule::name);
  if (found == std::end(kRules)) return std::nullopt;
  return RuleSimulation(machine, workload, found->rule).run();
}

}  // namespace mgpu::bench
