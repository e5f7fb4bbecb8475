#include "simulation.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <queue>
#include <ranges>
#include <span>
#include <tuple>
#include <utility>

#include "sched/step.h"

#include "random.h"
#include "referee.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

// How badly this house behaves. Each is a probability per occasion.
struct Faults {
  double load_fails = 0, load_hangs = 0, rung_fails = 0, rung_ignored = 0, frees_late = 0, frees_partly = 0;
  double lies = 0, out_of_memory = 0, game_starts = 0;
  double lingers_after_kill = 0, crashes = 0, client_vanishes = 0, foreign_grows = 0, device_lost = 0;
};

// What is physically in device memory on behalf of one consumer.
struct Body {
  std::map<ResidentId, Bytes> held{};
  Bytes lingering{};  // given up, but not yet back
  Bytes working{};
  bool alive = false;
  std::int64_t truth = 100;  // percent of what was declared that it really takes; a liar takes more
  Bytes sum() const {
    Bytes bytes = lingering + working;
    for (const auto& [id, part] : held) bytes += part;
    return bytes;
  }
};

struct Ground {  // one device as it really is
  Bytes total{};
  Bytes foreign{};
  Bytes bare{};
  bool game = false;                               // a program runs that the device is left to
  std::vector<std::pair<Instant, Bytes>> known{};  // foreign memory as the core read it
};

constexpr Duration kArrivals = 60s;
constexpr Duration kPatience = 20min;  // after the last arrival; longer than every limit in the house

class House {
 public:
  explicit House(std::uint64_t seed) : random_(seed) {}

  Life live() {
    furnish();
    life_.scenario.world = world_;
    now_ = {1'000'000};
    for (std::size_t i = 0; i < grounds_.size(); ++i) sample(DeviceId{i});
    schedule_next_arrival();
    if (random_.chance(0.05))
      after(Duration{random_.between(1, kArrivals.count())}, [this] { feed(DrainRequested{}); });
    while (!life_.failure && !agenda_.empty() && !over()) {
      const Item item = agenda_.top();
      agenda_.pop();
      now_ = std::max(now_, item.at);
      item.act();
    }
    if (!life_.failure && !world_.tickets.empty())
      life_.failure =
          Failure{"8: tickets still wait when everything has come to rest", life_.scenario.events.size()};
    life_.fingerprint = referee_.fingerprint();
    return std::move(life_);
  }

 private:
  struct Item {
    Instant at{};
    std::uint64_t order = 0;
    std::function<void()> act{};
    bool operator<(const Item& other) const { return std::tie(other.at, other.order) < std::tie(at, order); }
  };

  // --- the house ---

  void furnish() {
    const auto maybe = [&](double p) { return random_.chance(0.5) ? p : 0.0; };
    faults_ = {.load_fails = maybe(0.1),
               .load_hangs = maybe(0.03),
               .rung_fails = maybe(0.2),
               .rung_ignored = maybe(0.1),
               .frees_late = maybe(0.3),
               .frees_partly = maybe(0.1),
               .lingers_after_kill = maybe(0.05),
               .crashes = maybe(0.02),
               .client_vanishes = maybe(0.1),
               .foreign_grows = maybe(0.2),
               .device_lost = maybe(0.01)};
    faults_.lies = maybe(0.15), faults_.out_of_memory = maybe(0.03), faults_.game_starts = maybe(0.02);
    world_.limits.policy = random_.chance(0.7) ? Policy::affinity : Policy::fifo;
    if (random_.chance(0.3)) world_.limits.overtake_limit = Duration{random_.between(100'000, 30'000'000)};
    world_.limits.ageing = Duration{random_.between(1'000'000, 60'000'000)};
    world_.limits.load_ahead = random_.chance(0.8);
    if (random_.chance(0.5)) world_.registry.park_memory = kGiB * random_.between(1, 64);
    world_.limits.max_queue = static_cast<std::uint32_t>(random_.between(3, 60));
    world_.limits.wait_limit = Duration{random_.between(5'000'000, 120'000'000)};
    world_.limits.room_limit = Duration{random_.between(500'000, 30'000'000)};
    const auto devices = random_.between(1, 3);
    for (std::int64_t i = 0; i < devices; ++i) {
      grounds_.push_back({.total = kGiB * random_.between(8, 48)});
      add_device(world_,
                 {.name = "gpu" + std::to_string(i),
                  .capacity = static_cast<std::uint32_t>(random_.chance(0.6) ? 1 : random_.between(2, 3)),
                  .reserve = kMiB * random_.between(0, 1024)});
    }
    const auto consumers = random_.between(1, 8);
    for (std::int64_t i = 0; i < consumers; ++i) add_somebody(i);
  }

  void add_somebody(std::int64_t number) {
    Consumer spec{.name = "c" + std::to_string(number)};
    spec.device = {
        static_cast<std::uint64_t>(random_.between(0, static_cast<std::int64_t>(grounds_.size()) - 1))};
    spec.footprint = kMiB * random_.between(256, 20 * 1024);
    spec.working = kMiB * (random_.chance(0.5) ? random_.between(0, 2048) : 0);
    spec.concurrency = static_cast<std::uint32_t>(random_.chance(0.6) ? 1 : random_.between(2, 4));
    spec.lease_only = random_.chance(0.15);
    spec.exclusive = random_.chance(0.1);
    spec.turnless = random_.chance(0.15);
    spec.pinned = random_.chance(0.08);
    spec.can_unload = random_.chance(0.5);
    spec.can_stop = !spec.can_unload || random_.chance(0.6);
    if (random_.chance(0.1)) spec.can_unload = spec.can_stop = false;
    spec.can_park = random_.chance(0.3);
    spec.priority = static_cast<Priority>(random_.chance(0.6) ? 2 : random_.between(0, 3));
    spec.weight = static_cast<std::uint32_t>(random_.chance(0.8) ? 1 : random_.between(1, 5));
    spec.max_queue = static_cast<std::uint32_t>(random_.chance(0.8) ? 0 : random_.between(1, 10));
    spec.max_turn = random_.chance(0.2) ? Duration{random_.between(0, 10'000'000)} : 0s;
    spec.reserved = random_.chance(0.1);
    spec.footprint_declaration = static_cast<FootprintDeclaration>(random_.between(0, 2));
    if (random_.chance(0.2) && number > 0)
      spec.followed_by.push_back({static_cast<std::uint64_t>(random_.between(0, number - 1))});
    if (random_.chance(0.3))
      for (std::size_t i = 0; i < grounds_.size(); ++i) spec.devices.push_back({i});
    if (spec.devices.size() > 1 && random_.chance(0.5)) {
      spec.device = spec.devices.front();
      for (std::size_t i = 0; i < spec.devices.size(); ++i)
        spec.split.push_back(static_cast<std::uint32_t>(random_.between(1, 3)));
    }
    spec.residue = kMiB * (spec.can_unload && random_.chance(0.3) ? random_.between(100, 600) : 0);
    spec.idle_unload = random_.chance(0.3) ? Duration{random_.between(1'000'000, 60'000'000)} : 0s;
    spec.stop_limit = Duration{random_.between(500'000, 10'000'000)};
    spec.load_limit = Duration{random_.between(5'000'000, 60'000'000)};
    const ConsumerId id = add_consumer(world_.registry, spec);
    bodies_.emplace_back();
    bodies_.back().truth =
        random_.chance(faults_.lies) ? random_.between(101, 140) : random_.between(50, 100);
    if (spec.lease_only) return;
    const auto several = spec.can_unload && random_.chance(0.3) ? random_.between(2, 4) : 1;
    for (std::int64_t i = 0; i < several; ++i)
      add_resident(world_.registry, id, several > 1 ? std::to_string(i) : "",
                   several > 1 ? kMiB * random_.between(256, 8 * 1024) : spec.footprint);
  }

  // --- time ---

  void after(Duration delay, std::function<void()> act) {
    agenda_.push({now_ + delay, ++order_, std::move(act)});
  }
  bool over() const {
    return now_ > Instant{1'000'000} + kArrivals && (world_.tickets.empty() || now_ > last_moment());
  }
  static Instant last_moment() { return Instant{1'000'000} + kArrivals + kPatience; }

  void feed(EventPayload what) {
    if (life_.failure) return;
    const Event event{now_, std::move(what)};
    life_.scenario.events.push_back(event);
    if (auto broken = referee_.judged_step(world_, event); !broken.empty()) {
      life_.failure = Failure{broken, life_.scenario.events.size()};
      return;
    }
    const Effects effects = referee_.effects();
    for (const Effect& effect : effects) std::visit([this](const auto& e) { obey(e); }, effect);
    const Instant wake = next_wakeup(world_);
    if (wake != kNever && wake != armed_) {
      armed_ = wake;
      agenda_.push({std::max(wake, now_), ++order_, [this, wake] {
                      if (armed_ != wake) return;  // somebody set it anew
                      armed_ = {};
                      feed(Tick{});
                    }});
    }
  }

  // --- clients ---

  void schedule_next_arrival() {
    if (now_ > Instant{1'000'000} + kArrivals) return;
    after(Duration{random_.between(1'000, 2'000'000)}, [this] {
      arrive();
      schedule_next_arrival();
    });
  }

  void arrive() {
    const TicketId ticket{++last_ticket_};
    TicketRequest ask;
    if (random_.chance(0.1)) {
      ask.device = {
          static_cast<std::uint64_t>(random_.between(0, static_cast<std::int64_t>(grounds_.size()) - 1))};
      ask.bytes = kMiB * random_.between(64, 16 * 1024);
    } else {
      ask.consumer = ConsumerId{
          static_cast<std::uint64_t>(random_.between(0, static_cast<std::int64_t>(bodies_.size()) - 1))};
      const ConsumerState& consumer = world_.registry[*ask.consumer];
      ask.device = consumer.spec.device;
      if (!consumer.residents.empty())
        ask.resident = consumer.residents[static_cast<std::size_t>(
            random_.between(0, static_cast<std::int64_t>(consumer.residents.size()) - 1))];
    }
    if (random_.chance(0.2)) ask.wait_limit = Duration{random_.between(1'000, 30'000'000)};
    if (random_.chance(0.2)) ask.priority = static_cast<Priority>(random_.between(0, 3));
    if (random_.chance(0.3)) ask.user = static_cast<std::uint32_t>(random_.between(1, 4));
    if (random_.chance(0.1)) ask.deadline = Duration{random_.between(1'000, 30'000'000)};
    asks_[ticket] = ask;
    feed(TicketArrived{ticket, ask});
    if (random_.chance(faults_.client_vanishes))
      after(Duration{random_.between(0, 20'000'000)}, [this, ticket] { vanish(ticket); });
    if (random_.chance(0.02)) {
      const auto count = static_cast<std::int64_t>(world_.registry.residents.size());
      if (count > 0) {
        const ResidentId resident{static_cast<std::uint64_t>(random_.between(0, count - 1))};
        feed(EvictionRequested{resident, random_.chance(0.3)});
      }
    }
  }

  void vanish(TicketId ticket) {
    stop_working(ticket);
    feed(TicketCancelled{ticket});
  }

  // --- what the core wants done ---

  void obey(const Grant& grant) {
    ++life_.grants;
    if (const auto placed = world_.tickets.find(grant.ticket); placed != world_.tickets.end())
      asks_[grant.ticket].device = placed->second.request.device;
    start_working(grant.ticket);
    const std::uint64_t run = ++runs_[grant.ticket];
    const auto still_that_run = [this, ticket = grant.ticket, run] { return runs_[ticket] == run; };
    if (run == 1 && random_.chance(faults_.out_of_memory))
      after(Duration{random_.between(1'000, 1'000'000)}, [this, ticket = grant.ticket, still_that_run] {
        if (still_that_run()) feed(OutOfMemorySeen{ticket});
      });
    after(Duration{random_.between(10'000, 8'000'000)}, [this, ticket = grant.ticket, still_that_run] {
      const auto standing = world_.tickets.find(ticket);
      if (!still_that_run() ||
          (standing != world_.tickets.end() && standing->second.stage != TicketStage::running))
        return;
      stop_working(ticket);
      feed(LeaseReleased{ticket});
    });
    if (const TicketRequest& ask = asks_[grant.ticket]; ask.resident && random_.chance(faults_.crashes)) {
      const ConsumerId consumer = *ask.consumer;
      after(Duration{random_.between(0, 3'000'000)}, [this, consumer] { crash(consumer); });
    }
  }
  void obey(const Refuse&) { ++life_.refusals; }
  void obey(const EndLease& end) { stop_working(end.ticket); }
  void obey(const Load& load) {
    ++life_.loads;
    const ConsumerId consumer = world_.registry[load.resident].consumer;
    const Duration limit = world_.registry[consumer].spec.load_limit;
    if (random_.chance(faults_.load_hangs)) {
      after(limit, [this, id = load.resident] {
        feed(LoadEnded{id, fail(ErrorCode::load_failed, "never got healthy")});
      });
    } else if (random_.chance(faults_.load_fails)) {
      after(Duration{random_.between(1'000, 5'000'000)},
            [this, id = load.resident] { feed(LoadEnded{id, fail(ErrorCode::load_failed, "exit code 1")}); });
    } else {
      after(Duration{random_.between(1'000, std::min<std::int64_t>(limit.count(), 12'000'000))},
            [this, id = load.resident, began = now_] { finish_load(id, began); });
    }
  }
  void obey(const Evict& evict) {
    const ConsumerId consumer = world_.registry[evict.resident].consumer;
    const Duration limit = world_.registry[consumer].spec.stop_limit;
    const bool kill = evict.rung == Rung::kill;
    if (!kill && random_.chance(faults_.rung_ignored)) {
      after(limit * 3, [this, evict] {
        feed(RungEnded{evict.resident, evict.rung, fail(ErrorCode::eviction_failed, "ignored")});
      });
    } else if (!kill && random_.chance(faults_.rung_fails)) {
      after(10ms, [this, evict] {
        feed(RungEnded{evict.resident, evict.rung, fail(ErrorCode::eviction_failed, "status 500")});
      });
    } else {
      after(Duration{random_.between(1'000, limit.count() / 2)}, [this, evict] {
        give_back(evict);
        feed(RungEnded{evict.resident, evict.rung, {}});
      });
    }
  }
  void obey(const TakeReading& take) {
    after(Duration{random_.between(500, 20'000)}, [this, device = take.device] { read(device); });
  }
  void obey(const Planned&) {}
  void obey(const Evicted&) { ++life_.evictions; }
  void obey(const EvictionFailed&) {}
  void obey(const ReadAhead&) {}
  void obey(const CostsLearned&) {}
  void obey(const Overtook&) {}
  void obey(const Requeued& again) { stop_working(again.ticket); }
  void obey(const LoadedInVain&) {}

  // --- what services do ---

  void finish_load(ResidentId id, Instant began) {
    const ConsumerId consumer = world_.registry[id].consumer;
    Body& body = bodies_[consumer.value];
    const Bytes needs = truly(consumer, world_.registry[id].declared_footprint);
    body.held[id] = needs;
    if (!all_fits(devices_of(world_.registry[consumer].spec), began)) {
      body.held.erase(id);
      feed(LoadEnded{id, fail(ErrorCode::out_of_memory, "CUDA out of memory")});
      return;
    }
    body.alive = true;
    feed(LoadEnded{id, {}, static_cast<LoadSource>(random_.between(0, 2))});
  }

  Bytes truly(ConsumerId consumer, Bytes declared) const {
    return {declared.count / 100 * bodies_[consumer.value].truth};
  }

  void start_working(TicketId ticket) {
    const TicketRequest& ask = asks_[ticket];
    Bytes bytes = ask.bytes;
    if (ask.consumer) {
      const Consumer& spec = world_.registry[*ask.consumer].spec;
      bytes = spec.lease_only ? spec.footprint + spec.working : truly(*ask.consumer, spec.working);
    }
    (ask.consumer ? bodies_[ask.consumer->value].working : grounds_[ask.device.value].bare) += bytes;
    all_fits(devices_of(world_.registry, ask), now_);
    at_work_[ticket] = bytes;
  }

  void stop_working(TicketId ticket) {
    const auto work = at_work_.find(ticket);
    if (work == at_work_.end()) return;
    const TicketRequest& ask = asks_[ticket];
    (ask.consumer ? bodies_[ask.consumer->value].working : grounds_[ask.device.value].bare) -= work->second;
    at_work_.erase(work);
  }

  void give_back(const Evict& evict) {
    const ConsumerId consumer = world_.registry[evict.resident].consumer;
    Body& body = bodies_[consumer.value];
    const bool whole = evict.rung == Rung::stop || evict.rung == Rung::kill;
    Bytes freed = whole ? body.sum() - body.lingering - body.working : body.held[evict.resident];
    if (whole) {
      body.held.clear();
      body.alive = false;
    } else {
      body.held.erase(evict.resident);
    }
    if (whole && random_.chance(faults_.lingers_after_kill)) return linger(consumer, freed, 60s);
    if (!whole && random_.chance(faults_.frees_partly)) {
      body.lingering += Bytes{freed.count / 2};  // until the process ends
      stuck_[consumer] += Bytes{freed.count / 2};
      freed -= Bytes{freed.count / 2};
    }
    if (whole) {
      body.lingering -= std::exchange(stuck_[consumer], Bytes{});
    }
    const Duration limit = world_.registry[consumer].spec.stop_limit;
    if (random_.chance(faults_.frees_late))
      linger(consumer, freed, Duration{random_.between(0, limit.count() * 2)});
  }

  void linger(ConsumerId consumer, Bytes bytes, Duration how_long) {
    bodies_[consumer.value].lingering += bytes;
    after(how_long, [this, consumer, bytes] { bodies_[consumer.value].lingering -= bytes; });
  }

  void crash(ConsumerId consumer) {
    Body& body = bodies_[consumer.value];
    if (!body.alive) return;
    const Bytes gone = body.sum() - body.lingering - body.working;
    body.held.clear();
    body.alive = false;
    body.lingering -= std::exchange(stuck_[consumer], Bytes{});
    linger(consumer, gone, 50ms);
    feed(ServiceLost{consumer, {ErrorCode::service_down, "killed by signal 11"}});
  }

  // --- the driver ---

  Bytes body_on(std::size_t consumer, DeviceId device) const {
    return device_part(world_.registry.consumers[consumer].spec, device, bodies_[consumer].sum());
  }

  // Whether the devices have what was just taken. `since`: when the core let this happen.
  bool all_fits(std::span<const DeviceId> devices, Instant since) {
    return std::ranges::count_if(devices, [&](DeviceId device) { return fits(device, since); }) ==
           std::ssize(devices);
  }

  bool fits(DeviceId device, Instant since) {
    Ground& ground = grounds_[device.value];
    Bytes used = ground.foreign + ground.bare;
    for (std::size_t i = 0; i < bodies_.size(); ++i) used += body_on(i, device);
    if (used <= ground.total) return true;
    ++life_.out_of_memory;
    // Only a foreign program that grew behind our back may cause this; anything else is our own broken
    // promise.
    Bytes known = world_.registry.readings[device.value].foreign;
    for (const auto& [taken, foreign] : ground.known | std::views::reverse) {
      known = std::min(known, foreign);
      if (taken < since) break;  // the one that the decision was made on
    }
    if (ground.foreign <= known && !somebody_lied(device))
      life_.failure = Failure{"1: the driver refused an allocation", life_.scenario.events.size()};
    return false;
  }

  // Whether one of the device's consumers takes more than it ever said: the first time it can't be foreseen.
  bool somebody_lied(DeviceId device) const {
    for (std::size_t i = 0; i < bodies_.size(); ++i)
      if (is_on_device(world_.registry.consumers[i].spec, device) && bodies_[i].truth > 100) return true;
    return false;
  }

  void sample(DeviceId device) {
    if (random_.chance(faults_.game_starts)) {
      Ground& ground = grounds_[device.value];
      ground.game = !ground.game;
    }
    if (random_.chance(0.01)) feed(HourBegan{static_cast<std::uint8_t>(random_.between(0, 23))});
    read(device);
    if (random_.chance(faults_.foreign_grows)) {
      Ground& ground = grounds_[device.value];
      ground.foreign =
          random_.chance(0.4) ? Bytes{} : kMiB * random_.between(0, ground.total.count / kMiB.count / 2);
    }
    after(Duration{random_.between(100'000, 500'000)}, [this, device] { sample(device); });
  }

  void read(DeviceId device) {
    Ground& ground = grounds_[device.value];
    if (random_.chance(faults_.device_lost))
      return feed(ReadingTaken{{.device = device, .taken_at = now_, .lost = true}});
    ground.known.emplace_back(now_, ground.foreign);
    Reading reading{.device = device,
                    .taken_at = now_,
                    .total = ground.total,
                    .foreign = ground.foreign,
                    .bare = ground.bare,
                    .yielded = ground.game && now_ < Instant{1'000'000} + kArrivals};
    for (std::size_t i = 0; i < bodies_.size(); ++i)
      if (const Bytes bytes = body_on(i, device); bytes > Bytes{})
        reading.consumers.push_back({ConsumerId{i}, bytes});
    feed(ReadingTaken{reading});
  }

  Random random_;
  Faults faults_;
  World world_;
  Referee referee_;
  Life life_;
  Instant now_{};
  Instant armed_{};
  std::priority_queue<Item> agenda_;
  std::uint64_t order_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::vector<Ground> grounds_;
  std::vector<Body> bodies_;
  std::map<TicketId, TicketRequest> asks_;
  std::map<TicketId, Bytes> at_work_;
  std::map<TicketId, std::uint64_t> runs_;  // how often each was granted
  std::map<ConsumerId, Bytes> stuck_;
};

}  // namespace

Life live(std::uint64_t seed) { return House(seed).live(); }

}  // namespace mgpu::sim
