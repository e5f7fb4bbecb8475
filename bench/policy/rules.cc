#include "rules.h"

#include <algorithm>
#include <list>
#include <utility>

#include "replay/workload_driver.h"

namespace mgpu::bench {
namespace {

using replay::Outcome;
using ConsumerIndex = std::size_t;  // a consumer's number, and its resident's

enum class LoadState : std::uint8_t { cold, loading, warm, evicting };

// The device and the people; a rule looks at it after everything that happens, and says what to do next.
class RuleSimulation {
 public:
  using Rule = void (*)(RuleSimulation&);

  RuleSimulation(const replay::Machine& house, const replay::Workload& workload, Rule rule)
      : house_(house),
        rule_(rule),
        driver_(agenda_, workload, [this](std::size_t job, const replay::FlowStep&) { on_arrival(job); }),
        processor_(agenda_, [this](std::size_t job) { on_job_done(job); }),
        cache_(house.page_cache),
        load_states_(house.world.registry.consumers.size()),
        running_jobs_(load_states_.size()),
        last_used_(load_states_.size()) {}

  Outcome run() {
    agenda_.schedule_at(Instant{1'000'000}, [this] { driver_.start(); });
    while (driver_.has_open_flows()) agenda_.run_next();
    outcome_.jobs = std::move(driver_.jobs());
    outcome_.end = agenda_.now();
    return std::move(outcome_);
  }

  // --- what a rule sees ---

  const std::list<std::size_t>& waiting() const { return waiting_; }
  ConsumerIndex consumer_of(std::size_t job) {
    return static_cast<ConsumerIndex>(driver_.jobs()[job].consumer.value);
  }
  std::size_t consumers() const { return load_states_.size(); }
  LoadState load_state(ConsumerIndex consumer) const { return load_states_[consumer]; }
  bool is_idle(ConsumerIndex consumer) const { return running_jobs_[consumer] == 0; }
  bool is_processor_idle() const { return processor_.running_count() == 0; }
  bool is_moving_resident() const {
    return std::ranges::any_of(
        load_states_, [](LoadState s) { return s == LoadState::loading || s == LoadState::evicting; });
  }
  Bytes needed_memory(ConsumerIndex consumer) const {
    const Consumer& spec = house_.world.registry.consumers[consumer].spec;
    return spec.footprint + spec.working;
  }
  Duration load_time(ConsumerIndex consumer) const { return house_.costs[consumer].load_cold; }
  Bytes free_memory() const {
    Bytes available = house_.device_memory.front() - house_.world.registry.devices.front().reserve;
    for (ConsumerIndex i = 0; i < load_states_.size(); ++i)
      if (load_states_[i] != LoadState::cold) available -= needed_memory(i);
    return available;
  }
  // The same if only footprints count: enough for a rule that lets one work at a time.
  Bytes free_memory_beside_footprints() const {
    Bytes available = house_.device_memory.front() - house_.world.registry.devices.front().reserve;
    for (ConsumerIndex i = 0; i < load_states_.size(); ++i)
      if (load_states_[i] != LoadState::cold) available -= house_.world.registry.consumers[i].spec.footprint;
    return available;
  }
  // Warm and idle ones, the least recently used first.
  std::vector<ConsumerIndex> idle_consumers() const {
    std::vector<ConsumerIndex> idle;
    for (ConsumerIndex i = 0; i < load_states_.size(); ++i)
      if (load_states_[i] == LoadState::warm && running_jobs_[i] == 0) idle.push_back(i);
    std::ranges::sort(idle, {}, [this](ConsumerIndex i) { return std::pair(last_used_[i], i); });
    return idle;
  }

  // --- what a rule does ---

  void start(std::size_t job) {
    waiting_.remove(job);
    driver_.job_started(job);
    ++running_jobs_[consumer_of(job)];
    processor_.start(job, driver_.jobs()[job].work);
  }

  void load(ConsumerIndex consumer) {
    load_states_[consumer] = LoadState::loading;
    const ResidentId id{consumer};
    const bool cached = cache_.contains(id);
    const replay::Costs& costs = house_.costs[consumer];
    agenda_.schedule_after(
        cached ? costs.load_cached : costs.load_cold, [this, consumer, cached, began = agenda_.now()] {
          cache_.read(ResidentId{consumer}, house_.world.registry.consumers[consumer].spec.footprint);
          finish_move(consumer, replay::Activity::load, LoadState::warm, began,
                      cached ? LoadSource::cached : LoadSource::cold);
        });
  }

  void evict(ConsumerIndex consumer) {
    load_states_[consumer] = LoadState::evicting;
    agenda_.schedule_after(house_.costs[consumer].unload, [this, consumer, began = agenda_.now()] {
      finish_move(consumer, replay::Activity::evict, LoadState::cold, began, LoadSource::cold);
    });
  }

  void mark_all_warm() { std::ranges::fill(load_states_, LoadState::warm); }

 private:
  void on_arrival(std::size_t job) {
    driver_.enter_line(job, DeviceId{0});
    waiting_.push_back(job);
    rule_(*this);
  }

  void on_job_done(std::size_t job) {
    --running_jobs_[consumer_of(job)];
    last_used_[consumer_of(job)] = agenda_.now();
    const replay::Job& ended = driver_.jobs()[job];
    outcome_.spans.push_back(
        {replay::Activity::run, ended.consumer, DeviceId{0}, ended.started, agenda_.now(), LoadSource::cold});
    driver_.job_ended(job);
    rule_(*this);
  }

  void finish_move(ConsumerIndex consumer, replay::Activity activity, LoadState state, Instant began,
                   LoadSource source) {
    load_states_[consumer] = state;
    last_used_[consumer] = agenda_.now();
    outcome_.spans.push_back({activity, ConsumerId{consumer}, DeviceId{0}, began, agenda_.now(), source});
    rule_(*this);
  }

  const replay::Machine& house_;
  Rule rule_;
  replay::VirtualClock agenda_{};
  replay::WorkloadDriver driver_;
  replay::SharedProcessor processor_;
  replay::PageCache cache_;
  std::vector<LoadState> load_states_;
  std::vector<std::uint32_t> running_jobs_;
  std::vector<Instant> last_used_;
  std::list<std::size_t> waiting_{};
  Outcome outcome_{};
};

// The least recently used that make enough room, nobody in vain; empty if they can't.
std::vector<ConsumerIndex> least_recently_used_victims(const RuleSimulation& simulation, Bytes missing) {
  std::vector<ConsumerIndex> victims;
  Bytes gained{};
  for (const ConsumerIndex consumer : simulation.idle_consumers()) {
    if (gained >= missing) break;
    victims.push_back(consumer);
    gained += simulation.needed_memory(consumer);
  }
  if (gained < missing) return {};
  for (auto spared = victims.end(); spared != victims.begin();) {
    --spared;
    if (gained - simulation.needed_memory(*spared) < missing) continue;
    gained -= simulation.needed_memory(*spared);
    spared = victims.erase(spared);
  }
  return victims;
}

void first_in_first_out(RuleSimulation& simulation) {
  if (simulation.waiting().empty() || !simulation.is_processor_idle() || simulation.is_moving_resident())
    return;
  const std::size_t job = simulation.waiting().front();
  const ConsumerIndex consumer = simulation.consumer_of(job);
  if (simulation.load_state(consumer) == LoadState::warm) return simulation.start(job);
  const Bytes missing = simulation.needed_memory(consumer) - simulation.free_memory_beside_footprints();
  if (missing <= Bytes{}) return simulation.load(consumer);
  for (const ConsumerIndex victim : least_recently_used_victims(simulation, missing))
    simulation.evict(victim);
}

// Everybody whose consumer is loaded, at once.
void start_jobs_of_warm(RuleSimulation& simulation) {
  const std::list<std::size_t> waiting = simulation.waiting();
  for (const std::size_t job : waiting)
    if (simulation.load_state(simulation.consumer_of(job)) == LoadState::warm) simulation.start(job);
}

void swap_one(RuleSimulation& simulation) {
  start_jobs_of_warm(simulation);
  if (simulation.waiting().empty() || simulation.is_moving_resident()) return;
  for (ConsumerIndex consumer = 0; consumer < simulation.consumers(); ++consumer) {
    if (simulation.load_state(consumer) != LoadState::warm) continue;
    if (simulation.is_idle(consumer)) simulation.evict(consumer);
    return;
  }
  simulation.load(simulation.consumer_of(simulation.waiting().front()));
}

// Of all sets of loaded ones that make enough room, the one that is quickest to reload.
std::vector<ConsumerIndex> cheapest_victims(const RuleSimulation& simulation, Bytes missing) {
  std::vector<ConsumerIndex> loaded;
  for (ConsumerIndex consumer = 0; consumer < simulation.consumers(); ++consumer)
    if (simulation.load_state(consumer) == LoadState::warm) loaded.push_back(consumer);
  std::vector<ConsumerIndex> best;
  Duration best_cost{INT64_MAX};
  for (std::uint64_t mask = 1; mask < (std::uint64_t{1} << loaded.size()); ++mask) {
    std::vector<ConsumerIndex> chosen;
    Duration cost{};
    Bytes gained{};
    for (std::size_t i = 0; i < loaded.size(); ++i) {
      if ((mask >> i & 1) == 0) continue;
      chosen.push_back(loaded[i]), cost += simulation.load_time(loaded[i]),
          gained += simulation.needed_memory(loaded[i]);
    }
    if (gained >= missing && cost < best_cost) best = chosen, best_cost = cost;
  }
  return best;
}

void swap_sets(RuleSimulation& simulation) {
  start_jobs_of_warm(simulation);
  if (simulation.waiting().empty() || simulation.is_moving_resident()) return;
  const ConsumerIndex consumer = simulation.consumer_of(simulation.waiting().front());
  const Bytes missing = simulation.needed_memory(consumer) - simulation.free_memory();
  if (missing <= Bytes{}) return simulation.load(consumer);
  const std::vector<ConsumerIndex> victims = cheapest_victims(simulation, missing);
  if (std::ranges::all_of(victims, [&](ConsumerIndex victim) { return simulation.is_idle(victim); }))
    for (const ConsumerIndex victim : victims) simulation.evict(victim);
}

void least_recently_used(RuleSimulation& simulation) {
  start_jobs_of_warm(simulation);
  const std::list<std::size_t> waiting = simulation.waiting();
  for (const std::size_t job : waiting) {
    const ConsumerIndex consumer = simulation.consumer_of(job);
    if (simulation.load_state(consumer) != LoadState::cold) continue;
    const Bytes missing = simulation.needed_memory(consumer) - simulation.free_memory();
    if (missing <= Bytes{}) {
      simulation.load(consumer);
    } else if (!simulation.is_moving_resident()) {  // what moves may make the room that is missing
      for (const ConsumerIndex victim : least_recently_used_victims(simulation, missing))
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

std::optional<Outcome> run_rule(std::string_view rule, const replay::Machine& house,
                                const replay::Workload& workload) {
  const auto* found = std::ranges::find(kRules, rule, &NamedRule::name);
  if (found == std::end(kRules)) return std::nullopt;
  return RuleSimulation(house, workload, found->rule).run();
}

}  // namespace mgpu::bench
