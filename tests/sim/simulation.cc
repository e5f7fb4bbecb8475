#include "simulation.h"

#include <algorithm>
#include <functional>
#include <iterator>
#include <map>
#include <queue>
#include <ranges>
#include <set>
#include <span>
#include <tuple>
#include <utility>

#include "sched/found_state.h"
#include "sched/step.h"

#include "ai_model_sizes.h"
#include "invariant_checker.h"
#include "random.h"

namespace mgpu::sim {
namespace {

using namespace std::chrono_literals;

// The probability of each fault per occasion.
struct FaultRates {
  double load_fails = 0, load_hangs = 0, rung_fails = 0, rung_ignored = 0, frees_late = 0, frees_partly = 0;
  double sizes_left_out = 0, reports_understate = 0;
  double underdeclares = 0, out_of_memory = 0, yield_program_starts = 0;
  double acts_by_itself = 0;
  double lingers_after_kill = 0, crashes = 0, client_vanishes = 0, foreign_grows = 0, device_lost = 0;
};

// The real device memory of a consumer.
struct ConsumerMemory {
  std::map<ResidentId, Bytes> resident_bytes{};
  Bytes lingering{};  // of evicted residents, not free yet
  Bytes working{};
  bool is_alive = false;
  std::int64_t actual_percent = 100;  // real working memory in percent of the declaration
  bool acts_by_itself = false;        // its service loads, drops, parks and deletes without the core
  std::set<ResidentId> self_loading{}, parked{}, deleted{};
  std::uint64_t life = 0;  // grows with each end of its process
  Bytes total() const {
    Bytes bytes = lingering + working;
    for (const auto& [id, held] : resident_bytes) bytes += held;
    return bytes;
  }
};

// The real state of a device.
struct SimulatedDevice {
  Bytes total{};
  Bytes foreign{};
  Bytes bare{};
  bool has_yield_program = false;
  Instant last_self_load{};  // when a service last took memory without the core
  std::vector<std::pair<Instant, Bytes>> foreign_readings{};  // foreign memory in the readings
};

constexpr Duration kArrivalPeriod = 60s;
constexpr Duration kLateFree = 3s;         // of a service that drops a resident by itself
constexpr Duration kSettlePeriod = 20min;  // after the last arrival; longer than all limits

class Simulator {
 public:
  explicit Simulator(std::uint64_t seed) : random_(seed) {}

  SimulationResult run() {
    draw_world();
    result_.scenario.world = world_;
    now_ = {1'000'000};
    for (std::size_t i = 0; i < devices_.size(); ++i) sample_device(DeviceId{i});
    schedule_next_arrival();
    for (std::size_t i = 0; i < consumer_memory_.size(); ++i)
      if (consumer_memory_[i].acts_by_itself) schedule_own_life(ConsumerId{i});
    if (random_.chance(0.05))
      schedule_after(Duration{random_.between(1, kArrivalPeriod.count())},
                     [this] { feed_event(DrainRequested{}); });
    while (!result_.failure && !schedule_.empty() && !is_finished()) {
      const ScheduledAction next = schedule_.top();
      schedule_.pop();
      now_ = std::max(now_, next.at);
      next.action();
    }
    if (!result_.failure && !world_.tickets.empty())
      result_.failure =
          ScenarioFailure{"8: tickets still wait after the settle period", result_.scenario.events.size()};
    result_.fingerprint = checker_.fingerprint();
    return std::move(result_);
  }

 private:
  struct ScheduledAction {
    Instant at{};
    std::uint64_t sequence = 0;
    std::function<void()> action{};
    bool operator<(const ScheduledAction& other) const {
      return std::tie(other.at, other.sequence) < std::tie(at, sequence);
    }
  };

  // --- the machine ---

  void draw_world() {
    const auto rate_or_zero = [&](double rate) { return random_.chance(0.5) ? rate : 0.0; };
    fault_rates_ = {.load_fails = rate_or_zero(0.1),
                    .load_hangs = rate_or_zero(0.03),
                    .rung_fails = rate_or_zero(0.2),
                    .rung_ignored = rate_or_zero(0.1),
                    .frees_late = rate_or_zero(0.3),
                    .frees_partly = rate_or_zero(0.1),
                    .lingers_after_kill = rate_or_zero(0.05),
                    .crashes = rate_or_zero(0.02),
                    .client_vanishes = rate_or_zero(0.1),
                    .foreign_grows = rate_or_zero(0.2),
                    .device_lost = rate_or_zero(0.01)};
    fault_rates_.acts_by_itself = random_.chance(0.5) ? 0.6 : 0.0;
    fault_rates_.underdeclares = rate_or_zero(0.15), fault_rates_.out_of_memory = rate_or_zero(0.03),
    fault_rates_.yield_program_starts = rate_or_zero(0.02);
    fault_rates_.sizes_left_out = rate_or_zero(0.5), fault_rates_.reports_understate = rate_or_zero(0.3);
    world_.limits.policy = random_.chance(0.7) ? Policy::affinity : Policy::fifo;
    if (random_.chance(0.3)) world_.limits.overtake_limit = Duration{random_.between(100'000, 30'000'000)};
    world_.limits.ageing = Duration{random_.between(1'000'000, 60'000'000)};
    world_.limits.load_ahead = random_.chance(0.8);
    if (random_.chance(0.5)) world_.registry.park_memory = kGiB * random_.between(1, 64);
    world_.limits.max_queue = static_cast<std::uint32_t>(random_.between(3, 60));
    world_.limits.wait_limit = Duration{random_.between(5'000'000, 120'000'000)};
    world_.limits.room_limit = Duration{random_.between(500'000, 30'000'000)};
    const auto device_count = random_.between(1, 3);
    for (std::int64_t i = 0; i < device_count; ++i) {
      devices_.push_back({.total = kGiB * random_.between(8, 48)});
      add_device(world_,
                 {.name = "gpu" + std::to_string(i),
                  .capacity = static_cast<std::uint32_t>(random_.chance(0.6) ? 1 : random_.between(2, 3)),
                  .reserve = kMiB * random_.between(0, 1024)});
    }
    const auto consumer_count = random_.between(1, 8);
    for (std::int64_t i = 0; i < consumer_count; ++i) add_random_consumer(i);
  }

  void add_random_consumer(std::int64_t number) {
    Consumer spec{.name = "c" + std::to_string(number)};
    spec.device = {
        static_cast<std::uint64_t>(random_.between(0, static_cast<std::int64_t>(devices_.size()) - 1))};
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
      for (std::size_t i = 0; i < devices_.size(); ++i) spec.devices.push_back({i});
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
    consumer_memory_.emplace_back();
    consumer_memory_.back().actual_percent =
        random_.chance(fault_rates_.underdeclares) ? random_.between(101, 140) : random_.between(50, 100);
    sizes_.add_consumer({.true_percent = consumer_memory_.back().actual_percent,
                         .leaves_out = random_.chance(fault_rates_.sizes_left_out),
                         .reports = random_.chance(0.3),
                         .understates = random_.chance(fault_rates_.reports_understate)});
    if (spec.lease_only) return;
    consumer_memory_.back().acts_by_itself = random_.chance(fault_rates_.acts_by_itself);
    const auto resident_count = spec.can_unload && random_.chance(0.3) ? random_.between(2, 4) : 1;
    for (std::int64_t i = 0; i < resident_count; ++i)
      add_resident(
          world_.registry, id, resident_count > 1 ? std::to_string(i) : "",
          sizes_.add_resident(random_, id,
                              resident_count > 1 ? kMiB * random_.between(256, 8 * 1024) : spec.footprint));
  }

  // --- time ---

  void schedule_after(Duration delay, std::function<void()> action) {
    schedule_.push({now_ + delay, ++last_sequence_, std::move(action)});
  }
  bool is_finished() const {
    return now_ > Instant{1'000'000} + kArrivalPeriod && (world_.tickets.empty() || now_ > end_time());
  }
  static Instant end_time() { return Instant{1'000'000} + kArrivalPeriod + kSettlePeriod; }

  void feed_event(EventPayload payload) {
    if (result_.failure) return;
    const Event event{now_, std::move(payload)};
    result_.scenario.events.push_back(event);
    if (auto violation = checker_.step_and_check(world_, event); !violation.empty()) {
      result_.failure = ScenarioFailure{violation, result_.scenario.events.size()};
      return;
    }
    const Effects effects = checker_.effects();
    for (const Effect& effect : effects) std::visit([this](const auto& typed) { execute(typed); }, effect);
    const Instant wake = next_wakeup(world_);
    if (wake != kNever && wake != armed_wakeup_) {
      armed_wakeup_ = wake;
      schedule_.push({std::max(wake, now_), ++last_sequence_, [this, wake] {
                        if (armed_wakeup_ != wake) return;  // replaced by another time
                        armed_wakeup_ = {};
                        feed_event(Tick{});
                      }});
    }
  }

  // --- clients ---

  void schedule_next_arrival() {
    if (now_ > Instant{1'000'000} + kArrivalPeriod) return;
    schedule_after(Duration{random_.between(1'000, 2'000'000)}, [this] {
      submit_random_ticket();
      schedule_next_arrival();
    });
  }

  void submit_random_ticket() {
    const TicketId ticket{++last_ticket_};
    TicketRequest request;
    if (random_.chance(0.1)) {
      request.device = {
          static_cast<std::uint64_t>(random_.between(0, static_cast<std::int64_t>(devices_.size()) - 1))};
      request.bytes = kMiB * random_.between(64, 16 * 1024);
    } else {
      request.consumer = ConsumerId{static_cast<std::uint64_t>(
          random_.between(0, static_cast<std::int64_t>(consumer_memory_.size()) - 1))};
      const ConsumerState& consumer = world_.registry[*request.consumer];
      request.device = consumer.spec.device;
      if (!consumer.residents.empty())
        request.resident = consumer.residents[static_cast<std::size_t>(
            random_.between(0, static_cast<std::int64_t>(consumer.residents.size()) - 1))];
    }
    if (random_.chance(0.2)) request.wait_limit = Duration{random_.between(1'000, 30'000'000)};
    if (random_.chance(0.2)) request.priority = static_cast<Priority>(random_.between(0, 3));
    if (random_.chance(0.3)) request.user = static_cast<std::uint32_t>(random_.between(1, 4));
    if (random_.chance(0.1)) request.deadline = Duration{random_.between(1'000, 30'000'000)};
    requests_[ticket] = request;
    feed_event(TicketArrived{ticket, request});
    if (random_.chance(fault_rates_.client_vanishes))
      schedule_after(Duration{random_.between(0, 20'000'000)}, [this, ticket] { disconnect_client(ticket); });
    if (random_.chance(0.02)) {
      const auto count = static_cast<std::int64_t>(world_.registry.residents.size());
      if (count > 0) {
        const ResidentId resident{static_cast<std::uint64_t>(random_.between(0, count - 1))};
        feed_event(EvictionRequested{resident, random_.chance(0.3)});
        const ResidentId other{static_cast<std::uint64_t>(random_.between(0, count - 1))};
        feed_event(KeepAliveSet{other, Duration{random_.between(-1, 3) * 5'000'000}});
      }
    }
  }

  void disconnect_client(TicketId ticket) {
    stop_job(ticket);
    feed_event(TicketCancelled{ticket});
  }

  // --- effects ---

  void execute(const Grant& grant) {
    ++result_.grants;
    if (const auto placed = world_.tickets.find(grant.ticket); placed != world_.tickets.end())
      requests_[grant.ticket].device = placed->second.request.device;
    granted_at_[grant.ticket] = now_;
    start_job(grant.ticket);
    load_inside_request(grant.ticket);
    const std::uint64_t grant_count = ++grant_counts_[grant.ticket];
    const auto is_same_grant = [this, ticket = grant.ticket, grant_count] {
      return grant_counts_[ticket] == grant_count;
    };
    if (grant_count == 1 && random_.chance(fault_rates_.out_of_memory))
      schedule_after(Duration{random_.between(1'000, 1'000'000)},
                     [this, ticket = grant.ticket, is_same_grant] {
                       if (is_same_grant()) feed_event(OutOfMemorySeen{ticket});
                     });
    schedule_after(Duration{random_.between(10'000, 8'000'000)}, [this, ticket = grant.ticket,
                                                                  is_same_grant] {
      const auto found = world_.tickets.find(ticket);
      if (!is_same_grant() || (found != world_.tickets.end() && found->second.stage != TicketStage::running))
        return;
      stop_job(ticket);
      feed_event(LeaseReleased{ticket});
    });
    if (const TicketRequest& request = requests_[grant.ticket];
        request.resident && random_.chance(fault_rates_.crashes)) {
      const ConsumerId consumer = *request.consumer;
      schedule_after(Duration{random_.between(0, 3'000'000)}, [this, consumer] { crash_service(consumer); });
    }
  }
  void execute(const Refuse&) { ++result_.refusals; }
  void execute(const EndLease& end) { stop_job(end.ticket); }
  void execute(const Load& load) {
    ++result_.loads;
    if (is_size_unknown(world_.registry[load.resident]))
      fail_if(missing_room_for_unknown(world_.registry, load.resident, now_));
    note_change(load.resident);
    const ConsumerId consumer = world_.registry[load.resident].consumer;
    const Duration limit = world_.registry[consumer].spec.load_limit;
    if (consumer_memory_[consumer.value].deleted.contains(load.resident))
      return schedule_after(10ms, [this, id = load.resident] {
        end_load(id, fail(ErrorCode::not_found, "status 404"), LoadSource::cold);
      });
    if (random_.chance(fault_rates_.load_hangs)) {
      schedule_after(limit, [this, id = load.resident] {
        end_load(id, fail(ErrorCode::load_failed, "not healthy within load_limit"), LoadSource::cold);
      });
    } else if (random_.chance(fault_rates_.load_fails)) {
      schedule_after(Duration{random_.between(1'000, 5'000'000)}, [this, id = load.resident] {
        end_load(id, fail(ErrorCode::load_failed, "exit code 1"), LoadSource::cold);
      });
    } else {
      schedule_after(Duration{random_.between(1'000, std::min<std::int64_t>(limit.count(), 12'000'000))},
                     [this, id = load.resident, load_start = now_] { finish_load(id, load_start); });
    }
  }
  void execute(const Evict& evict) {
    note_change(evict.resident);
    const ConsumerId consumer = world_.registry[evict.resident].consumer;
    const Duration limit = world_.registry[consumer].spec.stop_limit;
    const bool is_kill = evict.rung == Rung::kill;
    if (!is_kill && random_.chance(fault_rates_.rung_ignored)) {
      schedule_after(limit * 3,
                     [this, evict] { end_rung(evict, fail(ErrorCode::eviction_failed, "ignored")); });
    } else if (!is_kill && random_.chance(fault_rates_.rung_fails)) {
      schedule_after(10ms,
                     [this, evict] { end_rung(evict, fail(ErrorCode::eviction_failed, "status 500")); });
    } else {
      schedule_after(Duration{random_.between(1'000, limit.count() / 2)}, [this, evict] {
        free_memory(evict);
        end_rung(evict, {});
      });
    }
  }
  void execute(const TakeReading& take) {
    schedule_after(Duration{random_.between(500, 20'000)},
                   [this, device = take.device] { take_reading(device); });
  }
  void execute(const Planned&) {}
  void execute(const Evicted&) { ++result_.evictions; }
  void execute(const EvictionFailed&) {}
  void execute(const ReadAhead&) {}
  void execute(const CostsLearned&) {}
  void execute(const Overtook&) {}
  void execute(const Requeued& requeued) { stop_job(requeued.ticket); }
  void execute(const LoadedInVain&) {}

  // --- services ---

  void finish_load(ResidentId id, Instant load_start) {
    const ConsumerId consumer = world_.registry[id].consumer;
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    memory.resident_bytes[id] = sizes_.true_bytes(id);
    if (!allocations_succeed(devices_of(world_.registry[consumer].spec), load_start)) {
      memory.resident_bytes.erase(id);
      return end_load(id, fail(ErrorCode::out_of_memory, "CUDA out of memory"), LoadSource::cold);
    }
    memory.is_alive = true;
    memory.parked.erase(id), memory.self_loading.erase(id);
    end_load(id, {}, static_cast<LoadSource>(random_.between(0, 2)));
    if (const auto bytes = sizes_.report(random_, id))
      schedule_after(Duration{random_.between(0, 3'000'000)},
                     [this, id, bytes] { feed_event(SizeReported{.resident = id, .bytes = *bytes}); });
  }

  // Whether something in the memory of the device takes more than the core can know.
  bool has_unknown_resident(DeviceId device) const {
    for (std::size_t i = 0; i < world_.registry.residents.size(); ++i) {
      const Resident& resident = world_.registry.residents[i];
      if (is_on_device(world_.registry[resident.consumer].spec, device) && holds_memory(resident) &&
          has_unknown_size(ResidentId{i}))
        return true;
    }
    return false;
  }

  // Whether the core can't know yet how much the resident takes, or knows that the device is too small for
  // it: then it is tried nevertheless. What loads by itself may do so unseen.
  bool has_unknown_size(ResidentId id) const {
    const ConsumerState& consumer = world_.registry[world_.registry[id].consumer];
    const bool acts_by_itself = consumer_memory_[world_.registry[id].consumer.value].acts_by_itself;
    const Bytes needed = sizes_.true_bytes(id) + consumer.spec.working;
    return (sizes_.is_left_out(id) && (acts_by_itself || world_.registry[id].is_provisional)) ||
           std::ranges::any_of(devices_of(consumer.spec), [&](DeviceId device) {
             return device_part(consumer.spec, device, needed) >
                    devices_[device.value].total - world_.registry.devices[device.value].reserve;
           });
  }

  void end_load(ResidentId id, Result<void> result, LoadSource source) {
    note_change(id);
    feed_event(LoadEnded{id, std::move(result), source});
  }
  void end_rung(const Evict& evict, Result<void> result) {
    note_change(evict.resident);
    feed_event(RungEnded{evict.resident, evict.rung, std::move(result)});
  }

  Bytes actual_bytes(ConsumerId consumer, Bytes declared) const {
    return {declared.count / 100 * consumer_memory_[consumer.value].actual_percent};
  }

  void start_job(TicketId ticket) {
    const TicketRequest& request = requests_[ticket];
    Bytes bytes = request.bytes;
    if (request.consumer) {
      const Consumer& spec = world_.registry[*request.consumer].spec;
      bytes = spec.lease_only ? spec.footprint + spec.working : actual_bytes(*request.consumer, spec.working);
    }
    (request.consumer ? consumer_memory_[request.consumer->value].working
                      : devices_[request.device.value].bare) += bytes;
    allocations_succeed(devices_of(world_.registry, request), now_);
    job_bytes_[ticket] = bytes;
  }

  void stop_job(TicketId ticket) {
    const auto work = job_bytes_.find(ticket);
    if (work == job_bytes_.end()) return;
    const TicketRequest& request = requests_[ticket];
    (request.consumer ? consumer_memory_[request.consumer->value].working
                      : devices_[request.device.value].bare) -= work->second;
    job_bytes_.erase(work);
  }

  void free_memory(const Evict& evict) {
    const ConsumerId consumer = world_.registry[evict.resident].consumer;
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    const bool stops_process = evict.rung == Rung::stop || evict.rung == Rung::kill;
    Bytes freed = stops_process ? memory.total() - memory.lingering - memory.working
                                : memory.resident_bytes[evict.resident];
    if (stops_process) {
      end_process(consumer);
    } else {
      memory.resident_bytes.erase(evict.resident);
      memory.self_loading.erase(evict.resident);
      memory.parked.erase(evict.resident);
      if (evict.rung == Rung::park) memory.parked.insert(evict.resident);
    }
    if (stops_process && random_.chance(fault_rates_.lingers_after_kill))
      return free_later(consumer, freed, 60s);
    if (!stops_process && random_.chance(fault_rates_.frees_partly)) {
      memory.lingering += Bytes{freed.count / 2};  // leaked until the process ends
      leaked_bytes_[consumer] += Bytes{freed.count / 2};
      freed -= Bytes{freed.count / 2};
    }
    if (stops_process) memory.lingering -= std::exchange(leaked_bytes_[consumer], Bytes{});
    const Duration limit = world_.registry[consumer].spec.stop_limit;
    if (random_.chance(fault_rates_.frees_late))
      free_later(consumer, freed, Duration{random_.between(0, limit.count() * 2)});
  }

  void free_later(ConsumerId consumer, Bytes bytes, Duration delay) {
    consumer_memory_[consumer.value].lingering += bytes;
    schedule_after(delay, [this, consumer, bytes] { consumer_memory_[consumer.value].lingering -= bytes; });
  }

  void crash_service(ConsumerId consumer) {
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    if (!memory.is_alive) return;
    const Bytes freed = memory.total() - memory.lingering - memory.working;
    end_process(consumer);
    memory.lingering -= std::exchange(leaked_bytes_[consumer], Bytes{});
    free_later(consumer, freed, 50ms);
    feed_event(ServiceLost{consumer, {ErrorCode::service_down, "killed by signal 11"}});
  }

  void end_process(ConsumerId consumer) {
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    memory.resident_bytes.clear(), memory.self_loading.clear(), memory.parked.clear();
    memory.is_alive = false;
    ++memory.life;
    for (const ResidentId id : world_.registry[consumer].residents) note_change(id);
  }

  // --- services that act by themselves ---

  // The core itself changed the resident: an earlier listing of it is outdated.
  void note_change(ResidentId id) { changes_[id] = ++change_count_; }

  void schedule_own_life(ConsumerId consumer) {
    if (now_ > Instant{1'000'000} + kArrivalPeriod + 60s) return;
    schedule_after(Duration{random_.between(200'000, 1'000'000)}, [this, consumer] {
      const auto& residents = world_.registry[consumer].residents;
      const ResidentId id = residents[static_cast<std::size_t>(
          random_.between(0, static_cast<std::int64_t>(residents.size()) - 1))];
      if (random_.chance(0.3)) act_by_itself(consumer, id);
      list_service(consumer);
      schedule_own_life(consumer);
    });
  }

  void act_by_itself(ConsumerId consumer, ResidentId id) {
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    const bool is_deleted = memory.deleted.contains(id);
    if (is_deleted && random_.chance(0.5)) {
      memory.deleted.erase(id);  // fetched again
    } else if (memory.resident_bytes.contains(id)) {
      drop_by_itself(consumer, id);
    } else if (!is_deleted && !memory.self_loading.contains(id) &&
               now_ < Instant{1'000'000} + kArrivalPeriod) {
      memory.self_loading.insert(id);
      schedule_after(Duration{random_.between(1'000, 5'000'000)},
                     [this, consumer, id, life = memory.life] { end_own_load(consumer, id, life); });
    }
  }

  // To nowhere, to host memory, or with its files; sometimes its bytes stay until the process ends.
  void drop_by_itself(ConsumerId consumer, ResidentId id) {
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    const Bytes freed = std::exchange(memory.resident_bytes[id], Bytes{});
    memory.resident_bytes.erase(id);
    if (random_.chance(0.2))
      memory.deleted.insert(id);
    else if (random_.chance(0.2))
      memory.parked.insert(id);
    // During a load the core could not know that old bytes stay beside the new ones.
    const bool is_loading = has_resident_in(world_.registry, world_.registry[consumer], Residency::loading);
    const bool is_late = !is_loading && random_.chance(fault_rates_.frees_late);
    if (is_late) free_later(consumer, freed, kLateFree);
    if (!is_late && !is_loading && random_.chance(fault_rates_.frees_partly)) {
      // The residue of its process is not leaked: the next load has the same.
      const Bytes leaked = std::max(freed - world_.registry[consumer].spec.residue, Bytes{});
      memory.lingering += leaked;
      leaked_bytes_[consumer] += leaked;
    }
    // What it loads until then takes more than was kept for it.
    if (memory.lingering > Bytes{})
      for (const DeviceId device : devices_of(world_.registry[consumer].spec))
        devices_[device.value].last_self_load = now_ + kLateFree;
    for (const auto& [ticket, bytes] : job_bytes_) load_inside_request(ticket);
  }

  void end_own_load(ConsumerId consumer, ResidentId id, std::uint64_t life) {
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    if (memory.life != life || memory.self_loading.erase(id) == 0 || memory.deleted.contains(id)) return;
    memory.parked.erase(id);
    take_own_memory(consumer, id);
  }

  // Without the core; what does not fit is not loaded.
  void take_own_memory(ConsumerId consumer, ResidentId id) {
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    memory.resident_bytes[id] = sizes_.true_bytes(id);
    const auto devices = devices_of(world_.registry[consumer].spec);
    if (!std::ranges::all_of(devices, [&](DeviceId device) { return fits(device); })) {
      memory.resident_bytes.erase(id);
      return;
    }
    memory.is_alive = true;
    for (const DeviceId device : devices) devices_[device.value].last_self_load = now_;
  }

  // A request finds that its resident was dropped, and the service loads it. Its room must have been kept.
  void load_inside_request(TicketId ticket) {
    const TicketRequest& request = requests_[ticket];
    if (!request.resident ||
        consumer_memory_[request.consumer->value].resident_bytes.contains(*request.resident))
      return;
    const std::uint64_t life = consumer_memory_[request.consumer->value].life;
    schedule_after(Duration{random_.between(1'000, 3'000'000)}, [this, ticket, life] {
      const ResidentId id = *requests_[ticket].resident;
      const ConsumerId consumer = *requests_[ticket].consumer;
      ConsumerMemory& memory = consumer_memory_[consumer.value];
      const bool is_gone = memory.life != life || memory.deleted.contains(id);
      if (!job_bytes_.contains(ticket) || is_gone || memory.resident_bytes.contains(id)) return;
      memory.parked.erase(id), memory.self_loading.erase(id);
      // Old bytes that are not free yet are more than what was kept for it.
      if (memory.lingering > Bytes{}) return take_own_memory(consumer, id);
      memory.resident_bytes[id] = sizes_.true_bytes(id);
      if (!allocations_succeed(devices_of(world_.registry[consumer].spec), granted_at_[ticket]))
        memory.resident_bytes.erase(id);
    });
  }

  Presence real_presence(ConsumerId consumer, ResidentId id) const {
    const ConsumerMemory& memory = consumer_memory_[consumer.value];
    if (memory.resident_bytes.contains(id)) return Presence::warm;
    if (memory.self_loading.contains(id)) return Presence::loading;
    if (memory.deleted.contains(id)) return Presence::gone;
    return memory.parked.contains(id) ? Presence::parked : Presence::cold;
  }

  // The core hears of a listing up to two seconds later. What the core itself has changed meanwhile is left
  // out, as the engine does.
  void list_service(ConsumerId consumer) {
    for (const ResidentId id : world_.registry[consumer].residents) {
      const ResidentFound found{.resident = id, .presence = real_presence(consumer, id)};
      schedule_after(
          Duration{random_.between(0, 2'000'000)}, [this, found, changes = change_count_, asked_at = now_] {
            const Resident& resident = world_.registry[found.resident];
            const bool may_be_back = found.presence != Presence::warm && resident.last_used >= asked_at;
            if (changes_[found.resident] > changes || may_be_back) return;
            if (is_news(world_, found) || random_.chance(0.1)) feed_event(found);
          });
    }
  }

  // --- devices and readings ---

  Bytes memory_on(std::size_t consumer, DeviceId device) const {
    return device_part(world_.registry.consumers[consumer].spec, device, consumer_memory_[consumer].total());
  }

  // Whether the memory that was just allocated fits the devices. `since`: when the core decided the load or
  // grant. Every device is checked, because each failure is counted.
  bool allocations_succeed(std::span<const DeviceId> devices, Instant since) {
    return std::ranges::count_if(devices, [&](DeviceId device) {
             return allocation_succeeds(device, since);
           }) == std::ssize(devices);
  }

  bool fits(DeviceId device) const {
    const SimulatedDevice& simulated = devices_[device.value];
    Bytes used = simulated.foreign + simulated.bare;
    for (std::size_t i = 0; i < consumer_memory_.size(); ++i) used += memory_on(i, device);
    return used <= simulated.total;
  }

  bool allocation_succeeds(DeviceId device, Instant since) {
    if (fits(device)) return true;
    SimulatedDevice& simulated = devices_[device.value];
    ++result_.out_of_memory;
    // Allowed only if foreign memory has grown, or a service has loaded by itself, since the reading that the
    // decision was based on, or if a consumer takes more than it declared. Otherwise the core has
    // overcommitted the device.
    Bytes known_foreign = world_.registry.readings[device.value].foreign;
    Instant known_at{};
    for (const auto& [taken_at, foreign] : simulated.foreign_readings | std::views::reverse) {
      known_foreign = std::min(known_foreign, foreign);
      known_at = taken_at;
      if (taken_at < since) break;  // the reading that the decision was based on
    }
    if (simulated.foreign <= known_foreign && simulated.last_self_load < known_at &&
        !has_underdeclared_consumer(device) && !has_unknown_resident(device))
      result_.failure = ScenarioFailure{"1: an allocation failed on a device that the core overcommitted",
                                        result_.scenario.events.size()};
    return false;
  }

  // Whether a consumer on the device takes more than it declared, which the core can't know in advance.
  bool has_underdeclared_consumer(DeviceId device) const {
    for (std::size_t i = 0; i < consumer_memory_.size(); ++i)
      if (is_on_device(world_.registry.consumers[i].spec, device) &&
          sizes_.takes_more_than_known(ConsumerId{i}))
        return true;
    return false;
  }

  void fail_if(const std::string& violation) {
    if (!violation.empty()) result_.failure = ScenarioFailure{violation, result_.scenario.events.size()};
  }

  void sample_device(DeviceId device) {
    if (random_.chance(fault_rates_.yield_program_starts)) {
      SimulatedDevice& simulated = devices_[device.value];
      simulated.has_yield_program = !simulated.has_yield_program;
    }
    if (random_.chance(0.01)) feed_event(HourBegan{static_cast<std::uint8_t>(random_.between(0, 23))});
    take_reading(device);
    if (random_.chance(fault_rates_.foreign_grows)) {
      SimulatedDevice& simulated = devices_[device.value];
      simulated.foreign =
          random_.chance(0.4) ? Bytes{} : kMiB * random_.between(0, simulated.total.count / kMiB.count / 2);
    }
    schedule_after(Duration{random_.between(100'000, 500'000)}, [this, device] { sample_device(device); });
  }

  void take_reading(DeviceId device) {
    SimulatedDevice& simulated = devices_[device.value];
    if (random_.chance(fault_rates_.device_lost))
      return feed_event(ReadingTaken{{.device = device, .taken_at = now_, .lost = true}});
    simulated.foreign_readings.emplace_back(now_, simulated.foreign);
    Reading reading{.device = device,
                    .taken_at = now_,
                    .total = simulated.total,
                    .foreign = simulated.foreign,
                    .bare = simulated.bare,
                    .yielded = simulated.has_yield_program && now_ < Instant{1'000'000} + kArrivalPeriod};
    for (std::size_t i = 0; i < consumer_memory_.size(); ++i)
      if (const Bytes bytes = memory_on(i, device); bytes > Bytes{})
        reading.consumers.push_back({ConsumerId{i}, bytes});
    feed_event(ReadingTaken{reading});
  }

  Random random_;
  FaultRates fault_rates_;
  World world_;
  InvariantChecker checker_;
  SimulationResult result_;
  Instant now_{};
  Instant armed_wakeup_{};
  std::priority_queue<ScheduledAction> schedule_;
  std::uint64_t last_sequence_ = 0;
  std::uint64_t last_ticket_ = 0;
  std::vector<SimulatedDevice> devices_;
  std::vector<ConsumerMemory> consumer_memory_;
  std::map<TicketId, TicketRequest> requests_;
  std::map<TicketId, Bytes> job_bytes_;
  std::map<TicketId, Instant> granted_at_;
  std::map<TicketId, std::uint64_t> grant_counts_;  // more than one after a requeue
  std::map<ConsumerId, Bytes> leaked_bytes_;
  AiModelSizes sizes_;
  std::map<ResidentId, std::uint64_t> changes_;  // the last change by the core
  std::uint64_t change_count_ = 0;
};

}  // namespace

SimulationResult run_simulation(std::uint64_t seed) { return Simulator(seed).run(); }

}  // namespace mgpu::sim
