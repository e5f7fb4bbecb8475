#include "replay/replay.h"

#include <algorithm>
#include <map>
#include <memory>
#include <set>
#include <utility>

#include "replay/workload_driver.h"

namespace mgpu::replay {
namespace {

using namespace std::chrono_literals;

constexpr Instant kFirstReadingAt{1'000'000};
constexpr Duration kReadingLatency = 2ms;
constexpr Duration kRereadInterval = 100ms;  // while tickets wait or a reading is pending

// The real memory of a consumer.
struct ConsumerMemory {
  std::map<ResidentId, Bytes> resident_bytes{};
  std::uint32_t running_jobs = 0;
  bool has_process = false;  // the process holds at least its residue
};

class Replayer {
 public:
  Replayer(const Machine& machine, const Workload& workload, const StepFunction& decide)
      : machine_(machine),
        decide_(decide),
        world_(machine.world),
        workload_driver_(clock_, workload,
                         [this](std::size_t job, const FlowStep& step) { submit_ticket(job, step); }),
        page_cache_(machine.page_cache),
        consumer_memory_(world_.registry.consumers.size()) {
    for (std::size_t i = 0; i < world_.lines.size(); ++i)
      processors_.push_back(
          std::make_unique<SharedProcessor>(clock_, [this](std::size_t job) { finish_job(job); }));
  }

  Outcome run() {
    clock_.schedule_at(kFirstReadingAt, [this] {
      for (std::size_t i = 0; i < world_.lines.size(); ++i) take_reading(DeviceId{i});
      workload_driver_.start();
    });
    // run_next asserts that a timer is left: otherwise the open flows would never end.
    while (workload_driver_.has_open_flows()) clock_.run_next();
    outcome_.jobs = std::move(workload_driver_.jobs());
    outcome_.end = clock_.now();
    return std::move(outcome_);
  }

 private:
  // --- the core ---

  void apply_event(EventPayload payload) {
    ++outcome_.events;
    const Effects effects = decide_(world_, {clock_.now(), std::move(payload)});
    for (const Effect& effect : effects) std::visit([this](const auto& typed) { execute(typed); }, effect);
    schedule_wakeup();
  }

  void schedule_wakeup() {
    const Instant wake = next_wakeup(world_);
    if (wake == kNever || wake == scheduled_wakeup_) return;
    scheduled_wakeup_ = wake;
    clock_.schedule_at(wake, [this, wake] {
      if (scheduled_wakeup_ != wake) return;  // replaced by another time
      scheduled_wakeup_ = {};
      apply_event(Tick{});
    });
  }

  // --- clients ---

  void submit_ticket(std::size_t job, const FlowStep& step) {
    const ConsumerState& consumer = world_.registry[step.consumer];
    const TicketId ticket{job + 1};
    if (!consumer.spec.turnless) workload_driver_.enter_line(job, consumer.spec.device);
    apply_event(TicketArrived{ticket,
                              {.device = consumer.spec.device,
                               .consumer = step.consumer,
                               .resident = step.resident,
                               .priority = step.priority,
                               .user = workload_driver_.jobs()[job].user}});
    reread_contended_devices(consumer.spec);
  }

  static std::size_t job_of(TicketId ticket) { return static_cast<std::size_t>(ticket.value - 1); }

  void finish_job(std::size_t job) {
    const ConsumerId consumer = workload_driver_.jobs()[job].consumer;
    --consumer_memory_[consumer.value].running_jobs;
    record_run(job);
    apply_event(LeaseReleased{TicketId{job + 1}});
    workload_driver_.job_ended(job);
    reread_contended_devices(world_.registry[consumer].spec);
  }

  // Readings are frequent while tickets wait, so that returned memory is seen soon.
  void reread_contended_devices(const Consumer& spec) {
    for (const DeviceId device : devices_of(spec))
      if (has_waiters(device)) schedule_reread(device);
  }
  bool has_waiters(DeviceId device) const {
    const LineState& line = world_.lines[device.value];
    return !line.waiting.empty() || !line.turnless.empty() || !line.preparing.empty();
  }

  void record_run(std::size_t job) {
    const ConsumerId consumer = workload_driver_.jobs()[job].consumer;
    record_span(Activity::run, consumer, workload_driver_.jobs()[job].started);
  }

  void record_span(Activity activity, ConsumerId consumer, Instant from,
                   LoadSource source = LoadSource::cold) {
    outcome_.spans.push_back({.activity = activity,
                              .consumer = consumer,
                              .device = world_.registry[consumer].spec.device,
                              .from = from,
                              .to = clock_.now(),
                              .source = source});
  }

  // --- effects ---

  void execute(const Grant& grant) {
    const std::size_t job = job_of(grant.ticket);
    workload_driver_.job_started(job);
    const ConsumerId consumer = workload_driver_.jobs()[job].consumer;
    ++consumer_memory_[consumer.value].running_jobs;
    processors_[world_.registry[consumer].spec.device.value]->start(job, workload_driver_.jobs()[job].work);
  }
  void execute(const Refuse& refuse) {
    if (outcome_.first_refusal.empty()) outcome_.first_refusal = refuse.error.detail;
    clock_.schedule_after(0ms, [this, job = job_of(refuse.ticket)] { workload_driver_.job_refused(job); });
  }
  void execute(const Load& load) {
    const LoadSource source = source_of(load);
    clock_.schedule_after(load_duration(load.resident, source), [this, load, source, began = clock_.now()] {
      finish_load(load.resident, source, began);
    });
  }
  void execute(const Evict& evict) {
    const Costs& costs = machine_.costs[evict.resident.value];
    clock_.schedule_after(evict.rung == Rung::park ? costs.park : costs.unload,
                          [this, evict, began = clock_.now()] { finish_eviction(evict, began); });
  }
  void execute(const TakeReading& take) {
    clock_.schedule_after(kReadingLatency, [this, device = take.device] { take_reading(device); });
  }
  void execute(const ReadAhead& ahead) {
    clock_.schedule_after(machine_.costs[ahead.resident.value].load_cold,
                          [this, id = ahead.resident] { page_cache_.read(id, footprint(id)); });
  }
  // Measures how long tickets may be overtaken, and whether any is overtaken after its bound. A ticket whose
  // resident was loaded ahead may do that.
  void execute(const Overtook& overtook) {
    const auto found = world_.tickets.find(overtook.ticket);
    if (found == world_.tickets.end()) return;
    const Ticket& served = found->second;
    for (const LinePlace& place : world_.lines[served.request.device.value].waiting) {
      if (place.due >= served.due) break;
      const Instant overtake_until = world_.tickets.at(place.ticket).overtake_until;
      outcome_.max_overtake_bound = std::max(outcome_.max_overtake_bound, overtake_until - clock_.now());
      if (overtook.reason != OvertakeReason::loaded_ahead)
        outcome_.max_bound_excess = std::max(outcome_.max_bound_excess, clock_.now() - overtake_until);
    }
  }
  void execute(const LoadedInVain&) { ++outcome_.loaded_in_vain; }
  template <class AnyEffect>
  void execute(const AnyEffect&) {}

  // --- services ---

  Bytes footprint(ResidentId id) const { return machine_.world.registry[id].footprint; }

  LoadSource source_of(const Load& load) const {
    if (load.from_parked) return LoadSource::parked;
    return page_cache_.contains(load.resident) ? LoadSource::cached : LoadSource::cold;
  }

  Duration load_duration(ResidentId id, LoadSource source) const {
    const Costs& costs = machine_.costs[id.value];
    return source == LoadSource::parked   ? costs.load_parked
           : source == LoadSource::cached ? costs.load_cached
                                          : costs.load_cold;
  }

  void finish_load(ResidentId id, LoadSource source, Instant began) {
    const ConsumerId consumer = world_.registry[id].consumer;
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    memory.resident_bytes[id] = footprint(id);
    memory.has_process = true;
    if (source != LoadSource::parked) page_cache_.read(id, footprint(id));
    record_span(Activity::load, consumer, began, source);
    apply_event(LoadEnded{.resident = id, .result = {}, .source = source});
  }

  void finish_eviction(const Evict& evict, Instant began) {
    const ConsumerId consumer = world_.registry[evict.resident].consumer;
    ConsumerMemory& memory = consumer_memory_[consumer.value];
    memory.resident_bytes.erase(evict.resident);
    if (evict.rung == Rung::stop || evict.rung == Rung::kill)
      memory = ConsumerMemory{.running_jobs = memory.running_jobs};
    record_span(Activity::evict, consumer, began);
    apply_event(RungEnded{evict.resident, evict.rung, {}});
  }

  // --- readings ---

  Bytes held_bytes(std::size_t consumer) const {
    const ConsumerMemory& memory = consumer_memory_[consumer];
    const Consumer& spec = machine_.world.registry.consumers[consumer].spec;
    Bytes bytes{};
    for (const auto& [id, held] : memory.resident_bytes) bytes += held;
    if (memory.has_process) bytes = std::max(bytes, spec.residue);
    return bytes + spec.working * memory.running_jobs;
  }

  void take_reading(DeviceId device) {
    Reading reading{
        .device = device, .taken_at = clock_.now(), .total = machine_.device_memory[device.value]};
    for (std::size_t i = 0; i < consumer_memory_.size(); ++i)
      if (const Bytes bytes = device_part(world_.registry.consumers[i].spec, device, held_bytes(i));
          bytes > Bytes{})
        reading.consumers.push_back({ConsumerId{i}, bytes});
    apply_event(ReadingTaken{std::move(reading)});
    if (world_.lines[device.value].is_reading_pending) schedule_reread(device);
  }

  void schedule_reread(DeviceId device) {
    if (!pending_rereads_.insert(device).second) return;
    clock_.schedule_after(kRereadInterval, [this, device] {
      pending_rereads_.erase(device);
      if (world_.lines[device.value].is_reading_pending || has_waiters(device)) take_reading(device);
    });
  }

  const Machine& machine_;
  const StepFunction& decide_;
  World world_;
  VirtualClock clock_{};
  WorkloadDriver workload_driver_;
  PageCache page_cache_;
  std::vector<ConsumerMemory> consumer_memory_;
  std::vector<std::unique_ptr<SharedProcessor>> processors_{};
  Outcome outcome_{};
  Instant scheduled_wakeup_{};
  std::set<DeviceId> pending_rereads_{};
};

}  // namespace

Outcome replay(const Machine& machine, const Workload& workload, const StepFunction& decide) {
  return Replayer(machine, workload, decide).run();
}

}  // namespace mgpu::replay
