// The loop around the core: what happened is stamped, stepped, written down, and what follows is obeyed.
#include "engine/engine.h"

#include <algorithm>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <unistd.h>

#include "config/services.h"
#include "engine/engine_impl.h"
#include "engine/footprint_estimate.h"
#include "engine/timed_calls.h"
#include "registry/cost_learning.h"
#include "sched/step.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// A wake-up that is due and changes nothing must not keep the strand busy: the next one comes after twice as
// long.
constexpr Duration kMinTickBackoff{1'000};
constexpr Duration kMaxTickBackoff{1'000'000};

std::vector<std::uint32_t> device_indices(const std::vector<gpu::DeviceInfo>& devices) {
  std::vector<std::uint32_t> indices;
  for (const gpu::DeviceInfo& device : devices) indices.push_back(device.index);
  return indices;
}

std::vector<std::uint16_t> external_ports(const std::vector<config::ConsumerConfig>& consumers) {
  std::vector<std::uint16_t> ports;
  for (const config::ConsumerConfig& consumer : consumers)
    if (const auto port = external_port(consumer)) ports.push_back(*port);
  return ports;
}

// For the heads of one AI model's files.
constexpr Duration kStartupEstimateTimeout = std::chrono::seconds(3);

// Who declared nothing gets what its files look like, as its declaration.
void estimate_undeclared_footprints(Setup& setup) {
  TimedCalls calls;
  const Bytes memory = total_device_memory(setup.devices);
  for (std::size_t i = 0; i < setup.consumers.size(); ++i)
    for (const ResidentId id : setup.world.registry[ConsumerId{i}].residents) {
      Resident& resident = setup.world.registry[id];
      if (resident.declared_footprint > Bytes{}) continue;
      const auto estimated = estimate_footprint_within(calls, kStartupEstimateTimeout, setup.consumers[i],
                                                       resident.ai_model, memory);
      if (!estimated) continue;
      resident.declared_footprint = resident.footprint = estimated->bytes;
      setup.estimated_from[id] = estimated->source_file;
    }
}

// Libraries throw what we do not expect; a load or an eviction must be answered all the same.
asio::awaitable<Result<void>> catch_exceptions(asio::awaitable<Result<void>> work) {
  try {
    co_return co_await std::move(work);
  } catch (const std::exception& thrown) {
    co_return fail(ErrorCode::internal, thrown.what());
  }
}

}  // namespace

Engine::Impl::Impl(asio::io_context& context, const config::Config& configuration, gpu::Provider& provider,
                   Setup setup, store::Store* store)
    : io(context),
      config(configuration),
      world(std::move(setup.world)),
      devices(std::move(setup.devices)),
      consumers(std::move(setup.consumers)),
      estimated_from(std::move(setup.estimated_from)),
      journal(config.limits.events, config.limits.events_memory),
      recorder(store, consumers,
               {.registry = world.registry,
                .wall_time = [this](Instant at) { return clock.wall_time(at); },
                .holder_description = [this](TicketId ticket) { return holder_description(ticket); }}),
      name_index(consumers),
      checkpoint(std::move(setup.cuda_checkpoint)),
      wake_up(context),
      changed(context, asio::steady_timer::time_point::max()),
      observations(devices.size()),
      last_loads(consumers.size()),
      own_cgroup(gpu::read_cgroup(::getpid())),
      hour_timer(context),
      uninvited_loads(consumers.size()),
      sampler(context.get_executor(), clock, provider, device_indices(devices), external_ports(consumers),
              {.busy = config.gpu.sample_busy, .idle = config.gpu.sample_idle},
              [this](Sample sample) { on_sample(std::move(sample)); }) {
  journal.subscribe([this](const JournalEntry& entry) { recorder.on_entry(entry); });
  for (std::size_t i = 0; i < world.registry.residents.size(); ++i) {
    const Resident& resident = world.registry.residents[i];
    mgpu::restore_learned_costs(world.registry, ResidentId{i},
                                recorder.previously_learned(resident.consumer, resident.ai_model));
  }
  for (std::size_t i = 0; i < consumers.size(); ++i) {
    applications.push_back(std::make_unique<Application>(
        io, consumers[i], config.limits.log_lines,
        [this, i](Error why) { report_service_lost(ConsumerId{i}, std::move(why)); }));
    applications.back()->keep_process_while(
        [this, i] { return world.registry[ConsumerId{i}].running_leases > 0; });
    // Who is not recorded could not be found again, and must not outlive us.
    if (consumers[i].process && !recorder.process_mark().empty())
      applications.back()->outlive_daemon(
          recorder.process_mark(), [this, i](int pid, std::optional<std::uint16_t> port) {
            recorder.record_started(ConsumerId{i}, pid, port, device_uuids(ConsumerId{i}).front());
          });
    // Placed by us, its process would not know where.
    if (consumers[i].process && consumers[i].devices.size() > 1)
      applications.back()->restrict_devices([this, i] { return device_uuids(ConsumerId{i}); });
    if (consumers[i].park_method == config::ParkMethod::cuda_checkpoint)
      applications.back()->enable_checkpoint_parking(checkpoint,
                                                     [this, i] { return read_device_pids(ConsumerId{i}); });
  }
}

std::vector<std::string> Engine::Impl::device_uuids(ConsumerId consumer) const {
  std::vector<std::string> uuids;
  for (const DeviceId device : devices_of(world.registry[consumer].spec))
    uuids.push_back(devices[device.value].uuid);
  return uuids;
}

void Engine::Impl::start() {
  sampler.start();
  spawn(run_hour_loop());
  for (std::size_t i = 0; i < applications.size(); ++i)
    if (applications[i]->is_polled()) spawn(run_poll_loop(ConsumerId{i}));
}

void Engine::Impl::close() {
  closed = true;
  sampler.stop();
  (void)sampler.wait_for_exit();  // it refers to the provider, which may be gone soon
  wake_up.cancel();
  changed.cancel();
  hour_timer.cancel();
  for (const auto& [ticket, lease_state] : lease_states) {
    lease_state->engine = nullptr;
    if (!lease_state->outcome)
      lease_state->set_outcome(fail(ErrorCode::shutting_down, "the daemon is shutting down"));
  }
  lease_states.clear();
  for (const auto& application : applications) application->close();
}

void Engine::Impl::dispatch_event(EventPayload what) {
  if (closed) return;
  pending_events.push_back(std::move(what));
  if (dispatching) return;
  dispatching = true;
  while (!pending_events.empty()) {
    EventPayload next = std::move(pending_events.front());
    pending_events.pop_front();
    step_core(std::move(next));
  }
  dispatching = false;
  update_sampling_rate();
  arm_wake_up();
  changed.cancel();
}

void Engine::Impl::step_core(EventPayload what) {
  const Event event{.at = std::max(clock.now(), world.now), .payload = std::move(what)};
  const Effects effects = step(world, event);
  journal.append(event.at, event.payload);
  for (const Effect& effect : effects) {
    journal.append(event.at, effect);
    execute(effect);
  }
}

void Engine::Impl::execute(const Effect& effect) {
  if (const auto* grant = std::get_if<Grant>(&effect)) on_grant(*grant);
  if (const auto* refusal = std::get_if<Refuse>(&effect)) on_refuse(*refusal);
  if (const auto* requeued = std::get_if<Requeued>(&effect)) on_requeued(*requeued);
  if (const auto* end = std::get_if<EndLease>(&effect)) on_end_lease(*end);
  if (const auto* load = std::get_if<Load>(&effect)) execute_load(*load);
  if (const auto* evict = std::get_if<Evict>(&effect)) execute_evict(*evict);
  if (const auto* wanted = std::get_if<ReadAhead>(&effect)) execute_read_ahead(*wanted);
  if (const auto* wanted = std::get_if<TakeReading>(&effect)) sampler.read_now(wanted->device);
}

void Engine::Impl::execute_load(const Load& load) {
  const std::string ai_model = world.registry[load.resident].ai_model;
  const LoadSource source = load_source(load);
  read_ahead.cancel(load.resident.value);  // from now on the load itself reads
  spawn(application_of(load.resident).load(ai_model, load.from_parked),
        [this, id = load.resident, source](Result<void> result) {
          last_loads[world.registry[id].consumer.value].loaded_at = clock.now();
          dispatch_event(LoadEnded{.resident = id, .result = std::move(result), .source = source});
        });
  if (!load.from_parked) spawn(track_open_weights(load.resident));
}

void Engine::Impl::execute_evict(const Evict& evict) {
  const std::string ai_model = world.registry[evict.resident].ai_model;
  spawn(application_of(evict.resident).evict(evict.rung, ai_model),
        [this, id = evict.resident, rung = evict.rung](Result<void> result) {
          dispatch_event(RungEnded{.resident = id, .rung = rung, .result = std::move(result)});
        });
}

// Spawned, never run inline: what it feeds must not reach the core in the middle of a step.
void Engine::Impl::spawn(asio::awaitable<Result<void>> work, std::function<void(Result<void>)> on_done) {
  asio::co_spawn(io, catch_exceptions(std::move(work)),
                 [self = shared_from_this(), answer = std::move(on_done)](const std::exception_ptr& thrown,
                                                                          Result<void> result) {
                   if (thrown) result = fail(ErrorCode::internal, "the operation was given up");
                   answer(std::move(result));
                 });
}

void Engine::Impl::spawn(asio::awaitable<void> work) {
  const auto as_result = [](asio::awaitable<void> inner) -> asio::awaitable<Result<void>> {
    co_await std::move(inner);
    co_return Result<void>{};
  };
  spawn(as_result(std::move(work)), [](const Result<void>&) {});
}

void Engine::Impl::arm_wake_up() {
  const Instant next = next_wakeup(world);
  wake_up.cancel();
  if (next == kNever) return;
  if (next > world.now) tick_backoff = kMinTickBackoff;
  // Counted from the last one, and not from now: events that come all the time don't put it off.
  wake_up.expires_at(clock.steady_time(std::max(next, last_tick + tick_backoff)));
  wake_up.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
    if (error) return;
    self->last_tick = self->clock.now();
    self->tick_backoff = std::min(2 * self->tick_backoff, kMaxTickBackoff);
    self->dispatch_event(Tick{});
  });
}

void Engine::Impl::update_sampling_rate() {
  const bool busy = !world.evictions.empty() || std::ranges::any_of(world.lines, [](const LineState& line) {
    return line.loading || !line.preparing.empty() || !line.waiting.empty() || !line.turnless.empty();
  });
  sampler.set_busy(busy);
}

// --- the engine as others see it ---

Result<std::unique_ptr<Engine>> Engine::create(asio::io_context& io, const config::Config& config,
                                               gpu::Provider& provider, store::Store* store) {
  auto setup = make_setup(config, provider.devices());
  if (!setup) return std::unexpected(setup.error());
  estimate_undeclared_footprints(*setup);
  auto impl = std::make_shared<Impl>(io, config, provider, std::move(*setup), store);
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Engine::Engine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() { impl_->close(); }

asio::awaitable<void> Engine::recover() { return impl_->recover(); }
void Engine::start() { impl_->start(); }

asio::awaitable<Result<Lease>> Engine::acquire(TicketRequest ask, Holder holder) {
  return acquire(ask, std::move(holder), [](TicketId) {});
}
asio::awaitable<Result<Lease>> Engine::acquire(TicketRequest ask, Holder holder,
                                               std::function<void(TicketId)> on_ticket) {
  return impl_->acquire(ask, std::move(holder), std::move(on_ticket));
}

asio::awaitable<Result<void>> Engine::reacquire(Lease& lease) { return impl_->reacquire(lease.state_); }
void Engine::count_oom_retry() { ++impl_->oom_retries; }
std::uint64_t Engine::oom_retries() const { return impl_->oom_retries; }

void Engine::report_suspect(ConsumerId consumer, std::string reason) {
  impl_->spawn(impl_->check_service_lost(consumer, std::move(reason)));
}

asio::awaitable<bool> Engine::is_busy(ConsumerId consumer) {
  const auto self = impl_;
  const std::uint32_t active_requests = co_await self->application(consumer).count_active_requests();
  // Each of its other leases accounts for one request: whoever has answered must not wait for theirs.
  const std::uint32_t leases = self->world.registry[consumer].running_leases;
  co_return active_requests > (leases > 0 ? leases - 1 : 0);
}

Result<void> Engine::cancel(TicketId ticket, std::string why) {
  if (!impl_->world.tickets.contains(ticket))
    return fail(ErrorCode::not_found, "there is no ticket " + std::to_string(ticket.value));
  impl_->dispatch_event(TicketCancelled{.ticket = ticket, .error = {ErrorCode::cancelled, std::move(why)}});
  return {};
}

Result<void> Engine::evict(ResidentId resident, bool park) {
  if (resident.value >= impl_->world.registry.residents.size())
    return fail(ErrorCode::not_found, "there is no resident " + std::to_string(resident.value));
  if (!is_already_evicted(impl_->world.registry[resident], park))
    if (auto may = check_eviction(impl_->world, resident, park); !may) return may;
  impl_->dispatch_event(EvictionRequested{.resident = resident, .park = park});
  return {};
}

void Engine::forget_learned(ConsumerId consumer) {
  impl_->recorder.forget_learned(consumer);
  for (const ResidentId resident : impl_->world.registry[consumer].residents)
    impl_->dispatch_event(LearnedForgotten{resident});
}

asio::awaitable<void> Engine::drain() { return impl_->drain(); }

bool Engine::stop_sampling() {
  impl_->sampler.stop();
  return impl_->sampler.wait_for_exit();
}

const config::Config& Engine::config() const { return impl_->config; }
const config::ConsumerConfig& Engine::config_of(ConsumerId consumer) const {
  return impl_->consumers[consumer.value];
}
std::optional<http::Endpoint> Engine::endpoint(ConsumerId consumer) const {
  return impl_->application(consumer).endpoint();
}
const World& Engine::world() const { return impl_->world; }
const Journal& Engine::journal() const { return impl_->journal; }
Journal& Engine::journal() { return impl_->journal; }
const std::vector<gpu::DeviceInfo>& Engine::devices() const { return impl_->devices; }
const DeviceObservation& Engine::observation(DeviceId device) const {
  return impl_->observations[device.value];
}
std::string Engine::estimated_from(ResidentId resident) const {
  const auto found = impl_->estimated_from.find(resident);
  return found == impl_->estimated_from.end() ? "" : found->second;
}
std::uint64_t Engine::loaded_uninvited(ConsumerId consumer) const {
  return impl_->uninvited_loads[consumer.value].count;
}
std::vector<std::string> Engine::log_tail(ConsumerId consumer) const {
  return impl_->application(consumer).log_tail();
}
std::optional<int> Engine::pid_of(ConsumerId consumer) const {
  return impl_->application(consumer).identity().pid;
}
std::chrono::system_clock::time_point Engine::wall_time(Instant at) const {
  return impl_->clock.wall_time(at);
}
Instant Engine::now() const { return impl_->clock.now(); }

const Holder* Engine::holder(TicketId ticket) const {
  const auto found = impl_->lease_states.find(ticket);
  return found == impl_->lease_states.end() ? nullptr : &found->second->holder;
}

std::string Engine::Impl::holder_description(TicketId ticket) const {
  const auto found = lease_states.find(ticket);
  return found == lease_states.end() ? "" : found->second->holder.who;
}

}  // namespace mgpu::engine
