#include "replay/replay.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "replay/crowd.h"

namespace mgpu::replay {
namespace {

using namespace std::chrono_literals;

constexpr Instant kFirstMoment{1'000'000};
constexpr Duration kReadingTakes = 2ms;
constexpr Duration kLookAgain = 100ms;  // while an eviction, or what a job gave back, waits to be seen free

// What one consumer really holds.
struct Body {
  std::map<ResidentId, Bytes> held{};
  std::uint32_t at_work = 0;
  bool process = false;  // it keeps its residue
};

class Life {
 public:
  Life(const House& house, const Workload& workload, const Decide& decide)
      : house_(house),
        decide_(decide),
        world_(house.world),
        crowd_(agenda_, workload, [this](std::size_t job, const Step& step) { ask(job, step); }),
        cache_(house.page_cache),
        bodies_(world_.registry.consumers.size()) {
    for (std::size_t i = 0; i < world_.lines.size(); ++i)
      processors_.push_back(
          std::make_unique<Processor>(agenda_, [this](std::size_t job) { work_done(job); }));
  }

  Outcome live() {
    agenda_.at(kFirstMoment, [this] {
      for (std::size_t i = 0; i < world_.lines.size(); ++i) read(DeviceId{i});
      crowd_.begin();
    });
    while (crowd_.somebody_left()) agenda_.next();  // an empty agenda with somebody left would be a wedge
    outcome_.jobs = std::move(crowd_.jobs());
    outcome_.end = agenda_.now();
    return std::move(outcome_);
  }

 private:
  // --- the core ---

  void feed(EventPayload what) {
    ++outcome_.events;
    const Effects effects = decide_(world_, {agenda_.now(), std::move(what)});
    for (const Effect& effect : effects) std::visit([this](const auto& e) { obey(e); }, effect);
    arm();
  }

  void arm() {
    const Instant wake = next_wakeup(world_);
    if (wake == kNever || wake == armed_) return;
    armed_ = wake;
    agenda_.at(wake, [this, wake] {
      if (armed_ != wake) return;  // somebody set it anew
      armed_ = {};
      feed(Tick{});
    });
  }

  // --- people ---

  void ask(std::size_t job, const Step& step) {
    const ConsumerState& consumer = world_.registry[step.consumer];
    const TicketId ticket{job + 1};
    if (!consumer.spec.turnless) crowd_.waits_in(job, consumer.spec.device);
    feed(TicketArrived{ticket,
                       {.device = consumer.spec.device,
                        .consumer = step.consumer,
                        .resident = step.resident,
                        .priority = step.priority,
                        .user = crowd_.jobs()[job].user}});
    look_again_where_somebody_waits(consumer.spec);
  }

  static std::size_t job_of(TicketId ticket) { return static_cast<std::size_t>(ticket.value - 1); }

  void work_done(std::size_t job) {
    const ConsumerId consumer = crowd_.jobs()[job].consumer;
    --bodies_[consumer.value].at_work;
    ran(job);
    feed(LeaseReleased{TicketId{job + 1}});
    crowd_.ended(job);
    look_again_where_somebody_waits(world_.registry[consumer].spec);
  }

  // The driver is read often while somebody waits, so that what a job gave back is seen soon.
  void look_again_where_somebody_waits(const Consumer& spec) {
    for (const DeviceId device : devices_of(spec))
      if (somebody_waits(device)) look_again(device);
  }
  bool somebody_waits(DeviceId device) const {
    const LineState& line = world_.lines[device.value];
    return !line.waiting.empty() || !line.turnless.empty() || !line.preparing.empty();
  }

  void ran(std::size_t job) {
    const Job& done = crowd_.jobs()[job];
    outcome_.spans.push_back({.what = Doing::run,
                              .consumer = done.consumer,
                              .device = world_.registry[done.consumer].spec.device,
                              .from = done.started,
                              .to = agenda_.now()});
  }

  // --- what the core wants done ---

  void obey(const Grant& grant) {
    const std::size_t job = job_of(grant.ticket);
    crowd_.started(job);
    const ConsumerId consumer = crowd_.jobs()[job].consumer;
    ++bodies_[consumer.value].at_work;
    processors_[world_.registry[consumer].spec.device.value]->start(job, crowd_.jobs()[job].work);
  }
  void obey(const Refuse& refuse) {
    if (outcome_.refusal.empty()) outcome_.refusal = refuse.error.detail;
    agenda_.after(0ms, [this, job = job_of(refuse.ticket)] { crowd_.refused(job); });
  }
  void obey(const Load& load) {
    const LoadSource source = source_of(load);
    agenda_.after(load_seconds(load.resident, source),
                  [this, load, source, began = agenda_.now()] { load_done(load.resident, source, began); });
  }
  void obey(const Evict& evict) {
    const Costs& costs = house_.costs[evict.resident.value];
    agenda_.after(evict.rung == Rung::park ? costs.park : costs.unload,
                  [this, evict, began = agenda_.now()] { evicted(evict, began); });
  }
  void obey(const TakeReading& take) {
    agenda_.after(kReadingTakes, [this, device = take.device] { read(device); });
  }
  void obey(const ReadAhead& ahead) {
    agenda_.after(house_.costs[ahead.resident.value].load_cold,
                  [this, id = ahead.resident] { cache_.read(id, footprint(id)); });
  }
  // Each of those who were passed bears it only until its own bound; what was loaded ahead may go first
  // still.
  void obey(const Overtook& overtook) {
    const auto found = world_.tickets.find(overtook.ticket);
    if (found == world_.tickets.end()) return;
    const Ticket& served = found->second;
    for (const LinePlace& place : world_.lines[served.request.device.value].waiting) {
      if (place.due >= served.due) break;
      const Ticket& passed = world_.tickets.at(place.ticket);
      outcome_.longest_bound = std::max(outcome_.longest_bound, passed.overtake_until - agenda_.now());
      if (overtook.reason != OvertakeReason::loaded_ahead)
        outcome_.beyond_bound = std::max(outcome_.beyond_bound, agenda_.now() - passed.overtake_until);
    }
  }
  void obey(const LoadedInVain&) { ++outcome_.loaded_in_vain; }
  template <class Told>
  void obey(const Told&) {}

  // --- what services do ---

  Bytes footprint(ResidentId id) const { return house_.world.registry[id].footprint; }

  LoadSource source_of(const Load& load) const {
    if (load.from_parked) return LoadSource::parked;
    return cache_.holds(load.resident) ? LoadSource::cached : LoadSource::cold;
  }

  Duration load_seconds(ResidentId id, LoadSource source) const {
    const Costs& costs = house_.costs[id.value];
    return source == LoadSource::parked   ? costs.load_parked
           : source == LoadSource::cached ? costs.load_cached
                                          : costs.load_cold;
  }

  void load_done(ResidentId id, LoadSource source, Instant began) {
    const ConsumerId consumer = world_.registry[id].consumer;
    Body& body = bodies_[consumer.value];
    body.held[id] = footprint(id);
    body.process = true;
    if (source != LoadSource::parked) cache_.read(id, footprint(id));
    outcome_.spans.push_back({.what = Doing::load,
                              .consumer = consumer,
                              .device = world_.registry[consumer].spec.device,
                              .from = began,
                              .to = agenda_.now(),
                              .source = source});
    feed(LoadEnded{.resident = id, .result = {}, .source = source});
  }

  void evicted(const Evict& evict, Instant began) {
    const ConsumerId consumer = world_.registry[evict.resident].consumer;
    Body& body = bodies_[consumer.value];
    body.held.erase(evict.resident);
    if (evict.rung == Rung::stop || evict.rung == Rung::kill) body = Body{.at_work = body.at_work};
    outcome_.spans.push_back({.what = Doing::evict,
                              .consumer = consumer,
                              .device = world_.registry[consumer].spec.device,
                              .from = began,
                              .to = agenda_.now()});
    feed(RungEnded{evict.resident, evict.rung, {}});
  }

  // --- the driver ---

  Bytes held(std::size_t consumer) const {
    const Body& body = bodies_[consumer];
    const Consumer& spec = house_.world.registry.consumers[consumer].spec;
    Bytes bytes{};
    for (const auto& [id, part] : body.held) bytes += part;
    if (body.process) bytes = std::max(bytes, spec.residue);
    return bytes + spec.working * body.at_work;
  }

  void read(DeviceId device) {
    Reading reading{.device = device, .taken_at = agenda_.now(), .total = house_.totals[device.value]};
    for (std::size_t i = 0; i < bodies_.size(); ++i)
      if (const Bytes bytes = device_part(world_.registry.consumers[i].spec, device, held(i));
          bytes > Bytes{})
        reading.consumers.push_back({ConsumerId{i}, bytes});
    feed(ReadingTaken{std::move(reading)});
    if (world_.lines[device.value].is_reading_pending) look_again(device);
  }

  void look_again(DeviceId device) {
    if (!looking_again_.insert(device).second) return;
    agenda_.after(kLookAgain, [this, device] {
      looking_again_.erase(device);
      if (world_.lines[device.value].is_reading_pending || somebody_waits(device)) read(device);
    });
  }

  const House& house_;
  const Decide& decide_;
  World world_;
  Agenda agenda_{};
  Crowd crowd_;
  PageCache cache_;
  std::vector<Body> bodies_;
  std::vector<std::unique_ptr<Processor>> processors_{};
  Outcome outcome_{};
  Instant armed_{};
  std::set<DeviceId> looking_again_{};
};

}  // namespace

Outcome replay(const House& house, const Workload& workload, const Decide& decide) {
  return Life(house, workload, decide).live();
}

}  // namespace mgpu::replay
