#include "rules.h"

#include <algorithm>
#include <list>
#include <utility>

#include "replay/workload_driver.h"

namespace mgpu::bench {
namespace {

using replay::Outcome;
using Who = std::size_t;  // a consumer's number, and its resident's

enum class Seat : std::uint8_t { cold, loading, warm, leaving };

// The device and the people; a rule looks at it after everything that happens, and says what to do next.
class Ground {
 public:
  using Rule = void (*)(Ground&);

  Ground(const replay::Machine& house, const replay::Workload& workload, Rule rule)
      : house_(house),
        rule_(rule),
        crowd_(agenda_, workload, [this](std::size_t job, const replay::FlowStep&) { come(job); }),
        processor_(agenda_, [this](std::size_t job) { done(job); }),
        cache_(house.page_cache),
        seats_(house.world.registry.consumers.size()),
        running_(seats_.size()),
        used_(seats_.size()) {}

  Outcome live() {
    agenda_.schedule_at(Instant{1'000'000}, [this] { crowd_.start(); });
    while (crowd_.has_open_flows()) agenda_.run_next();
    outcome_.jobs = std::move(crowd_.jobs());
    outcome_.end = agenda_.now();
    return std::move(outcome_);
  }

  // --- what a rule sees ---

  const std::list<std::size_t>& waiting() const { return waiting_; }
  Who who(std::size_t job) { return static_cast<Who>(crowd_.jobs()[job].consumer.value); }
  std::size_t consumers() const { return seats_.size(); }
  Seat seat(Who who) const { return seats_[who]; }
  bool idle(Who who) const { return running_[who] == 0; }
  bool nobody_runs() const { return processor_.running_count() == 0; }
  bool something_moves() const {
    return std::ranges::any_of(seats_, [](Seat s) { return s == Seat::loading || s == Seat::leaving; });
  }
  Bytes need(Who who) const {
    const Consumer& spec = house_.world.registry.consumers[who].spec;
    return spec.footprint + spec.working;
  }
  Duration reload(Who who) const { return house_.costs[who].load_cold; }
  Bytes room() const {
    Bytes room = house_.device_memory.front() - house_.world.registry.devices.front().reserve;
    for (Who i = 0; i < seats_.size(); ++i)
      if (seats_[i] != Seat::cold) room -= need(i);
    return room;
  }
  // The same if only footprints count: enough for a rule that lets one work at a time.
  Bytes room_beside_footprints() const {
    Bytes room = house_.device_memory.front() - house_.world.registry.devices.front().reserve;
    for (Who i = 0; i < seats_.size(); ++i)
      if (seats_[i] != Seat::cold) room -= house_.world.registry.consumers[i].spec.footprint;
    return room;
  }
  // Warm and idle ones, the least recently used first.
  std::vector<Who> idle_ones() const {
    std::vector<Who> idle;
    for (Who i = 0; i < seats_.size(); ++i)
      if (seats_[i] == Seat::warm && running_[i] == 0) idle.push_back(i);
    std::ranges::sort(idle, {}, [this](Who i) { return std::pair(used_[i], i); });
    return idle;
  }

  // --- what a rule does ---

  void start(std::size_t job) {
    waiting_.remove(job);
    crowd_.job_started(job);
    ++running_[who(job)];
    processor_.start(job, crowd_.jobs()[job].work);
  }

  void load(Who who) {
    seats_[who] = Seat::loading;
    const ResidentId id{who};
    const bool cached = cache_.contains(id);
    const replay::Costs& costs = house_.costs[who];
    agenda_.schedule_after(cached ? costs.load_cached : costs.load_cold, [this, who, cached,
                                                                          began = agenda_.now()] {
      cache_.read(ResidentId{who}, house_.world.registry.consumers[who].spec.footprint);
      moved(who, replay::Activity::load, Seat::warm, began, cached ? LoadSource::cached : LoadSource::cold);
    });
  }

  void evict(Who who) {
    seats_[who] = Seat::leaving;
    agenda_.schedule_after(house_.costs[who].unload, [this, who, began = agenda_.now()] {
      moved(who, replay::Activity::evict, Seat::cold, began, LoadSource::cold);
    });
  }

  void be_everywhere() { std::ranges::fill(seats_, Seat::warm); }

 private:
  void come(std::size_t job) {
    crowd_.enter_line(job, DeviceId{0});
    waiting_.push_back(job);
    rule_(*this);
  }

  void done(std::size_t job) {
    --running_[who(job)];
    used_[who(job)] = agenda_.now();
    const replay::Job& ended = crowd_.jobs()[job];
    outcome_.spans.push_back(
        {replay::Activity::run, ended.consumer, DeviceId{0}, ended.started, agenda_.now(), LoadSource::cold});
    crowd_.job_ended(job);
    rule_(*this);
  }

  void moved(Who who, replay::Activity what, Seat now, Instant began, LoadSource source) {
    seats_[who] = now;
    used_[who] = agenda_.now();
    outcome_.spans.push_back({what, ConsumerId{who}, DeviceId{0}, began, agenda_.now(), source});
    rule_(*this);
  }

  const replay::Machine& house_;
  Rule rule_;
  replay::VirtualClock agenda_{};
  replay::WorkloadDriver crowd_;
  replay::SharedProcessor processor_;
  replay::PageCache cache_;
  std::vector<Seat> seats_;
  std::vector<std::uint32_t> running_;
  std::vector<Instant> used_;
  std::list<std::size_t> waiting_{};
  Outcome outcome_{};
};

// The least recently used that make enough room, nobody in vain; empty if they can't.
std::vector<Who> oldest_that_suffice(const Ground& ground, Bytes missing) {
  std::vector<Who> victims;
  Bytes gained{};
  for (const Who who : ground.idle_ones()) {
    if (gained >= missing) break;
    victims.push_back(who);
    gained += ground.need(who);
  }
  if (gained < missing) return {};
  for (auto spared = victims.end(); spared != victims.begin();) {
    --spared;
    if (gained - ground.need(*spared) < missing) continue;
    gained -= ground.need(*spared);
    spared = victims.erase(spared);
  }
  return victims;
}

void first_in_first_out(Ground& ground) {
  if (ground.waiting().empty() || !ground.nobody_runs() || ground.something_moves()) return;
  const std::size_t job = ground.waiting().front();
  const Who who = ground.who(job);
  if (ground.seat(who) == Seat::warm) return ground.start(job);
  const Bytes missing = ground.need(who) - ground.room_beside_footprints();
  if (missing <= Bytes{}) return ground.load(who);
  for (const Who victim : oldest_that_suffice(ground, missing)) ground.evict(victim);
}

// Everybody whose consumer is loaded, at once.
void start_the_loaded(Ground& ground) {
  const std::list<std::size_t> waiting = ground.waiting();
  for (const std::size_t job : waiting)
    if (ground.seat(ground.who(job)) == Seat::warm) ground.start(job);
}

void swap_one(Ground& ground) {
  start_the_loaded(ground);
  if (ground.waiting().empty() || ground.something_moves()) return;
  for (Who who = 0; who < ground.consumers(); ++who) {
    if (ground.seat(who) != Seat::warm) continue;
    if (ground.idle(who)) ground.evict(who);
    return;
  }
  ground.load(ground.who(ground.waiting().front()));
}

// Of all sets of loaded ones that make enough room, the one that is quickest to reload.
std::vector<Who> cheapest_that_suffice(const Ground& ground, Bytes missing) {
  std::vector<Who> loaded;
  for (Who who = 0; who < ground.consumers(); ++who)
    if (ground.seat(who) == Seat::warm) loaded.push_back(who);
  std::vector<Who> best;
  Duration best_cost{INT64_MAX};
  for (std::uint64_t mask = 1; mask < (std::uint64_t{1} << loaded.size()); ++mask) {
    std::vector<Who> chosen;
    Duration cost{};
    Bytes gained{};
    for (std::size_t i = 0; i < loaded.size(); ++i) {
      if ((mask >> i & 1) == 0) continue;
      chosen.push_back(loaded[i]), cost += ground.reload(loaded[i]), gained += ground.need(loaded[i]);
    }
    if (gained >= missing && cost < best_cost) best = chosen, best_cost = cost;
  }
  return best;
}

void swap_sets(Ground& ground) {
  start_the_loaded(ground);
  if (ground.waiting().empty() || ground.something_moves()) return;
  const Who who = ground.who(ground.waiting().front());
  const Bytes missing = ground.need(who) - ground.room();
  if (missing <= Bytes{}) return ground.load(who);
  const std::vector<Who> victims = cheapest_that_suffice(ground, missing);
  if (std::ranges::all_of(victims, [&](Who victim) { return ground.idle(victim); }))
    for (const Who victim : victims) ground.evict(victim);
}

void least_recently_used(Ground& ground) {
  start_the_loaded(ground);
  const std::list<std::size_t> waiting = ground.waiting();
  for (const std::size_t job : waiting) {
    const Who who = ground.who(job);
    if (ground.seat(who) != Seat::cold) continue;
    const Bytes missing = ground.need(who) - ground.room();
    if (missing <= Bytes{}) {
      ground.load(who);
    } else if (!ground.something_moves()) {  // what moves may make the room that is missing
      for (const Who victim : oldest_that_suffice(ground, missing)) ground.evict(victim);
    }
  }
}

void one_at_a_time(Ground& ground) {
  ground.be_everywhere();
  if (!ground.waiting().empty() && ground.nobody_runs()) ground.start(ground.waiting().front());
}

struct Named {
  std::string_view name{};
  Ground::Rule rule = nullptr;
};

constexpr Named kRules[] = {{"charter", first_in_first_out},
                            {"swap_one", swap_one},
                            {"swap_sets", swap_sets},
                            {"lru", least_recently_used},
                            {"resident", one_at_a_time}};

}  // namespace

std::vector<std::string_view> rule_names() {
  std::vector<std::string_view> names;
  for (const Named& named : kRules) names.push_back(named.name);
  return names;
}

std::optional<Outcome> run_rule(std::string_view rule, const replay::Machine& house,
                                const replay::Workload& workload) {
  const auto* found = std::ranges::find(kRules, rule, &Named::name);
  if (found == std::end(kRules)) return std::nullopt;
  return Ground(house, workload, found->rule).live();
}

}  // namespace mgpu::bench
