// Engine::Impl: its parts, startup, the dispatch of the core's effects, and shutdown. Each part is described
// in its own header.
#include "engine/engine.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/sanitize.h"
#include "config/live_config.h"
#include "config/services.h"
#include "engine/application_set.h"
#include "engine/catalog.h"
#include "engine/client_unload.h"
#include "engine/clock.h"
#include "engine/consumer_notes.h"
#include "engine/core_loop.h"
#include "engine/device_observer.h"
#include "engine/footprint_estimate.h"
#include "engine/hour_timer.h"
#include "engine/lease_state.h"
#include "engine/leftover_recovery.h"
#include "engine/residency_executor.h"
#include "engine/service_watch.h"
#include "engine/setup.h"
#include "engine/store_recorder.h"
#include "engine/target_resolver.h"
#include "engine/task_spawner.h"
#include "engine/ticket_table.h"
#include "engine/timed_calls.h"
#include "engine/user_table.h"
#include "engine/weights_cache.h"
#include "runner/run_processes.h"
#include "runner/visible_devices.h"
#include "sched/step.h"
#include "service/request_table.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// From one full refresh of the names of AI models to the next.
constexpr Duration kRefreshInterval = std::chrono::milliseconds(500);

constexpr Duration kRefreshLimit = std::chrono::seconds(1);  // of the wait for it

// For reading the file heads of one AI model.
constexpr Duration kStartupEstimateTimeout = std::chrono::seconds(3);

// Sets the footprint of consumers that declare none to the size estimated from their files.
void estimate_undeclared_footprints(Setup& setup, const config::LiveConfig& config) {
  TimedCalls calls;
  const Bytes memory = total_device_memory(setup.devices);
  for (std::size_t i = 0; i < setup.world.registry.residents.size(); ++i) {
    const ResidentId id{i};
    Resident& resident = setup.world.registry[id];
    if (resident.declared_footprint > Bytes{}) continue;
    const config::ConsumerSnapshot consumer = config.consumer(resident.consumer);
    const auto estimated =
        estimate_footprint_within(calls, kStartupEstimateTimeout, *consumer, resident.ai_model, memory);
    if (!estimated) continue;
    resident.declared_footprint = resident.footprint = estimated->bytes;
    setup.estimated_from[id] = estimated->source_file;
  }
}

bool has_running_work(const World& world) {
  return std::ranges::any_of(world.lines,
                             [](const LineState& line) { return line.statistics.in_flight > 0; });
}

}  // namespace

// Shared with the coroutines in progress: each part that they return to must still exist, even though the
// loop is closed by then.
struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  Impl(asio::io_context& context, config::LiveConfig configuration, gpu::Provider& provider, Setup setup,
       store::Store* store);

  void start();
  void execute(const Effect& effect);
  asio::awaitable<void> drain();
  asio::awaitable<void> refresh_ai_models(ConsumerId consumer);
  asio::awaitable<void> refresh_all_ai_models();
  void close();

  std::optional<DeviceId> chosen_device(TicketId ticket) const;
  std::string holder_description(TicketId ticket) const;
  std::vector<std::string> device_uuids(ConsumerId consumer) const;  // of the consumer's devices
  runner::DeviceBinding bind_devices(ConsumerId consumer);
  bool release_when_gone(TicketId ticket, const std::string& run);
  asio::awaitable<Result<void>> wait_for_run(TicketId ticket);

  config::LiveConfig config;
  const Clock clock{};
  const std::vector<gpu::DeviceInfo> devices;      // by DeviceId
  const std::vector<gpu::DeviceInfo> all_devices;  // of this host, also those that are not configured
  const Bytes device_memory;
  Journal journal;  // its limits are fixed for the run
  TaskSpawner tasks;
  CoreLoop loop;
  ConsumerNotes notes{};
  StoreRecorder recorder;
  TicketTable tickets;
  TimedCalls timed_calls{};
  TargetResolver targets;
  Catalog catalog;
  UserTable users{};
  ApplicationSet applications;
  DeviceObserver observer;
  WeightsCache weights;
  ResidencyExecutor residency;
  ServiceWatch services;
  LeftoverRecovery recovery;
  HourTimer hours;
  std::uint64_t oom_retries = 0;
  Instant next_full_refresh{};  // no earlier than this
};

Engine::Impl::Impl(asio::io_context& io, config::LiveConfig configuration, gpu::Provider& provider,
                   Setup setup, store::Store* store)
    : config(std::move(configuration)),
      devices(std::move(setup.devices)),
      all_devices(provider.devices()),
      device_memory(total_device_memory(devices)),
      journal(config.snapshot()->limits.events, config.snapshot()->limits.events_memory),
      tasks(io, [this] { return shared_from_this(); }),
      loop(io, clock, std::move(setup.world), journal,
           {.execute = [this](const Effect& effect) { execute(effect); },
            .on_settled = [this] { observer.adapt_sampling_rate(); }}),
      recorder(store, config,
               {.registry = loop.world().registry,
                .wall_time = [this](Instant at) { return clock.wall_time(at); },
                .holder_description = [this](TicketId ticket) { return holder_description(ticket); }}),
      tickets(
          io.get_executor(), TicketNumbers([this] { return recorder.begin_epoch(); }),
          {.dispatch = [this](EventPayload what) { loop.dispatch(std::move(what)); },
           .device_of = [this](TicketId ticket) { return chosen_device(ticket); },
           .release_when_gone = [this](TicketId ticket,
                                       const std::string& run) { return release_when_gone(ticket, run); }}),
      targets(loop, config, timed_calls, device_memory, std::move(setup.estimated_from),
              [this](ConsumerId consumer, const std::string& ai_model) {
                return recorder.previously_learned(consumer, ai_model);
              }),
      catalog({.io = io, .loop = loop, .tasks = tasks, .targets = targets, .config = config}),
      applications(
          io, config, recorder, std::move(setup.cuda_checkpoint),
          {.on_lost =
               [this](ConsumerId consumer, Error why) {
                 loop.dispatch(ServiceLost{.consumer = consumer, .error = std::move(why)});
               },
           .is_in_use =
               [this](ConsumerId consumer) { return loop.world().registry[consumer].running_leases > 0; },
           .device_uuids = [this](ConsumerId consumer) { return device_uuids(consumer); },
           .read_device_pids = [this](ConsumerId consumer) { return observer.read_device_pids(consumer); },
           .bind_devices = [this](ConsumerId consumer) { return bind_devices(consumer); },
           .on_background = [this](ConsumerId consumer, int pid) { notes.set_background(consumer, pid); }}),
      observer(io, clock, loop, provider, devices, config,
               {.runs = [this] { return applications.runs(); },
                .ticket_processes = [this] { return tickets.processes(); },
                .on_misplaced =
                    [this](ConsumerId consumer, const std::set<DeviceId>& found_on) {
                      notes.set_misplaced(loop.world().registry, consumer, found_on);
                    },
                .on_bytes_changed = [this](ConsumerId consumer) { services.poll_soon(consumer); },
                .on_reading = [this](DeviceId device) { services.note_reading(device); }}),
      weights(io, loop, config, timed_calls, device_memory,
              [this](ConsumerId consumer) { return applications[consumer].identity().pid; }),
      residency({.loop = loop,
                 .tasks = tasks,
                 .applications = applications,
                 .devices = observer,
                 .weights = weights,
                 .targets = targets,
                 .on_ended = [this](ConsumerId consumer) { services.poll_soon(consumer); }}),
      services({.io = io,
                .loop = loop,
                .tasks = tasks,
                .applications = applications,
                .devices = observer,
                .targets = targets,
                .config = config}),
      recovery({.io = io,
                .loop = loop,
                .tasks = tasks,
                .applications = applications,
                .targets = targets,
                .recorder = recorder,
                .config = config,
                .devices = devices}),
      hours(io, loop) {
  journal.subscribe([this](const JournalEntryPtr& entry) { recorder.on_entry(*entry); });
  for (std::size_t i = 0; i < loop.world().registry.residents.size(); ++i) {
    const Resident& resident = loop.world().registry.residents[i];
    loop.restore_learned(ResidentId{i}, recorder.previously_learned(resident.consumer, resident.ai_model));
  }
}

void Engine::Impl::start() {
  // A contradiction in its configuration is told before it is loaded.
  for (std::size_t i = 0; i < applications.size(); ++i)
    if (!applications[ConsumerId{i}].is_external()) (void)bind_devices(ConsumerId{i});
  observer.start();
  tasks.spawn(hours.run());
  catalog.start();
  services.start();
}

void Engine::Impl::execute(const Effect& effect) {
  if (const auto* grant = std::get_if<Grant>(&effect)) tickets.on_grant(*grant);
  if (const auto* refusal = std::get_if<Refuse>(&effect)) tickets.on_refuse(*refusal);
  if (const auto* requeued = std::get_if<Requeued>(&effect)) tickets.on_requeued(*requeued);
  if (const auto* end = std::get_if<EndLease>(&effect)) tickets.on_end_lease(*end);
  if (const auto* load = std::get_if<Load>(&effect)) residency.execute(*load);
  if (const auto* evict = std::get_if<Evict>(&effect)) residency.execute(*evict);
  if (const auto* read_ahead = std::get_if<ReadAhead>(&effect)) residency.execute(*read_ahead);
  if (const auto* wanted = std::get_if<TakeReading>(&effect)) observer.read_now(wanted->device);
}

// Admits no new work; running work ends or reaches its limit; then the processes that the daemon runs are
// stopped.
asio::awaitable<void> Engine::Impl::drain() {
  loop.dispatch(DrainRequested{});

  const Instant limit = clock.now() + config.snapshot()->limits.drain_limit;
  while (has_running_work(loop.world()) && clock.now() < limit) co_await loop.wait_for_change(limit);

  std::vector<TicketId> unfinished;
  for (const auto& [id, ticket] : loop.world().tickets) unfinished.push_back(id);
  for (const TicketId id : unfinished)
    loop.dispatch(TicketCancelled{
        .ticket = id, .error = {ErrorCode::shutting_down, "the daemon stopped before the work ended"}});

  std::size_t stopping = applications.size();
  for (std::size_t i = 0; i < applications.size(); ++i)
    tasks.spawn(applications[ConsumerId{i}].shut_down(),
                [&stopping, this](const Result<void>&) { --stopping, loop.wake_waiters(); });
  while (stopping > 0) co_await loop.wait_for_change();
  observer.stop();
}

asio::awaitable<void> Engine::Impl::refresh_ai_models(ConsumerId consumer) {
  co_await catalog.refresh(consumer);
  if (!loop.is_closed()) co_await services.poll_now(consumer);
}

// Requests with ever new names must not keep the services busy.
asio::awaitable<void> Engine::Impl::refresh_all_ai_models() {
  if (clock.now() < next_full_refresh) co_return;
  const Instant now = clock.now();
  next_full_refresh = now + kRefreshInterval;
  const auto pending = std::make_shared<std::size_t>(0);  // outlives a wait that is cut short
  const auto refresh = [](Impl* self, ConsumerId consumer) -> asio::awaitable<Result<void>> {
    co_await self->refresh_ai_models(consumer);
    co_return Result<void>{};
  };
  for (std::size_t i = 0; i < applications.size(); ++i) {
    if (!has_several_ai_models(config.consumer(ConsumerId{i})->service)) continue;
    ++*pending;
    tasks.spawn(refresh(this, ConsumerId{i}),
                [this, pending](const Result<void>&) { --*pending, loop.wake_waiters(); });
  }
  const Instant limit = now + kRefreshLimit;
  while (*pending > 0 && !loop.is_closed() && clock.now() < limit) co_await loop.wait_for_change(limit);
}

void Engine::Impl::close() {
  loop.close();
  observer.stop();
  (void)observer.wait_for_exit();  // it refers to the provider, which may be destroyed soon
  hours.close();
  catalog.close();
  services.close();
  tickets.close();
  applications.close();
}

std::optional<DeviceId> Engine::Impl::chosen_device(TicketId ticket) const {
  const auto admitted = loop.world().tickets.find(ticket);
  if (admitted == loop.world().tickets.end()) return std::nullopt;
  return admitted->second.request.device;
}

std::string Engine::Impl::holder_description(TicketId ticket) const {
  const Holder* holder = tickets.holder(ticket);
  return holder == nullptr ? "" : holder->who;
}

std::vector<std::string> Engine::Impl::device_uuids(ConsumerId consumer) const {
  std::vector<std::string> uuids;
  for (const DeviceId device : devices_of(loop.world().registry[consumer].spec))
    uuids.push_back(devices[device.value].uuid);
  return uuids;
}

runner::DeviceBinding Engine::Impl::bind_devices(ConsumerId consumer) {
  const config::ConsumerSnapshot wanted = config.consumer(consumer);
  std::vector<gpu::DeviceInfo> bound;
  for (const DeviceId device : devices_of(loop.world().registry[consumer].spec))
    bound.push_back(devices[device.value]);
  std::map<std::string, std::string> own;
  if (wanted->process) own = wanted->process->env;
  if (wanted->container) own = wanted->container->env;
  runner::DeviceBinding binding = runner::bind_devices(bound, all_devices, own);
  notes.set_binding(consumer, binding.problem);
  return binding;
}

asio::awaitable<Result<void>> Engine::Impl::wait_for_run(TicketId ticket) {
  co_await observer.wait_until_run_is_gone(ticket);
  co_return Result<void>{};
}

// Only what `mgpu run` starts is waited for: a program that takes leases itself may keep memory between them.
bool Engine::Impl::release_when_gone(TicketId ticket, const std::string& run) {
  if (loop.is_closed() || loop.world().draining) return false;
  if (!observer.shows_run_of(ticket) && !runner::has_processes_of_run(run)) return false;
  const auto finish = [this, ticket](const Result<void>&) {
    if (!loop.is_closed()) tickets.finish_release(ticket);
  };
  tasks.spawn(wait_for_run(ticket), finish);
  return true;
}

// --- queries and operations ---

Result<std::unique_ptr<Engine>> Engine::create(asio::io_context& io, const config::Config& config,
                                               gpu::Provider& provider, store::Store* store) {
  auto setup = make_setup(config, provider.devices());
  if (!setup) return std::unexpected(setup.error());
  config::LiveConfig live_config(config, setup->ids);
  estimate_undeclared_footprints(*setup, live_config);
  auto impl = std::make_shared<Impl>(io, std::move(live_config), provider, std::move(*setup), store);
  return std::unique_ptr<Engine>(new Engine(std::move(impl)));
}

Engine::Engine(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
Engine::~Engine() { impl_->close(); }

asio::awaitable<void> Engine::recover() {
  const auto self = impl_;
  co_await self->catalog.read_first();
  co_await self->recovery.run();
}
void Engine::start() { impl_->start(); }

asio::awaitable<Result<Lease>> Engine::acquire(TicketRequest ask, Holder holder) {
  return acquire(ask, std::move(holder), [](TicketId) {});
}
asio::awaitable<Result<Lease>> Engine::acquire(TicketRequest ask, Holder holder,
                                               std::function<void(TicketId)> on_ticket) {
  return impl_->tickets.acquire(ask, std::move(holder), std::move(on_ticket));
}

asio::awaitable<Result<void>> Engine::reacquire(Lease& lease) {
  return impl_->tickets.reacquire(lease.state_);
}
void Engine::count_oom_retry() { ++impl_->oom_retries; }
std::uint64_t Engine::oom_retries() const { return impl_->oom_retries; }

void Engine::report_suspect(ConsumerId consumer, std::string reason) {
  impl_->services.check_suspect(consumer, std::move(reason));
}

asio::awaitable<bool> Engine::is_busy(ConsumerId consumer) {
  const auto self = impl_;
  const std::uint32_t active_requests = co_await self->applications[consumer].count_active_requests();
  // Each other running lease accounts for one active request, which is not work of this lease.
  const std::uint32_t leases = self->loop.world().registry[consumer].running_leases;
  co_return active_requests > (leases > 0 ? leases - 1 : 0);
}

Result<void> Engine::cancel(TicketId ticket, std::string why) {
  if (auto earlier = check_of_this_start(ticket); !earlier) return earlier;
  if (!impl_->loop.world().tickets.contains(ticket))
    return fail(ErrorCode::not_found, "there is no ticket " + std::to_string(ticket.value));
  impl_->loop.dispatch(TicketCancelled{.ticket = ticket, .error = {ErrorCode::cancelled, std::move(why)}});
  return {};
}

Result<void> Engine::evict(ResidentId resident, bool park) {
  if (resident.value >= impl_->loop.world().registry.residents.size())
    return fail(ErrorCode::not_found, "there is no resident " + std::to_string(resident.value));
  if (!is_already_evicted(impl_->loop.world().registry[resident], park))
    if (auto may = check_eviction(impl_->loop.world(), resident, park); !may) return may;
  impl_->loop.dispatch(EvictionRequested{.resident = resident, .park = park});
  return {};
}

asio::awaitable<Result<void>> Engine::ensure_up(ConsumerId consumer) {
  const auto self = impl_;
  Application& application = self->applications[consumer];
  const config::ConsumerSnapshot config = self->config.consumer(consumer);
  if (application.is_suspended())
    co_return fail(
        ErrorCode::unavailable,
        config->name + " is parked: a request that computes loads it, or mgpu load " + config->name);
  const bool may_start = !application.is_external() && service::starts_without_memory(config->service);
  if (!may_start && application.endpoint()) co_return Result<void>{};
  if (!may_start)
    co_return fail(
        ErrorCode::unavailable,
        config->name + " is not up: a request that computes loads it, or mgpu load " + config->name);
  if (self->loop.world().draining) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  co_return co_await application.start();
}

asio::awaitable<Result<bool>> Engine::unload(ResidentId resident, UnloadWait wait) {
  const auto self = impl_;
  const Duration limit = self->config.snapshot()->limits.wait_limit;
  const Instant deadline = self->clock.now() + limit;
  co_return co_await unload_for_client(self->loop, self->clock, resident, wait, deadline);
}

void Engine::set_keep_alive(ResidentId resident, Duration time) {
  impl_->loop.dispatch(KeepAliveSet{.resident = resident, .keep_alive = time});
}

void Engine::forget_learned(ConsumerId consumer) {
  impl_->recorder.forget_learned(consumer);
  for (const ResidentId resident : impl_->loop.world().registry[consumer].residents)
    impl_->loop.dispatch(LearnedForgotten{resident});
}

asio::awaitable<void> Engine::drain() {
  const auto self = impl_;
  co_await self->drain();
}

bool Engine::stop_sampling() {
  impl_->observer.stop();
  return impl_->observer.wait_for_exit();
}

config::Snapshot Engine::config() const { return impl_->config.snapshot(); }
config::ConsumerSnapshot Engine::config_of(ConsumerId consumer) const {
  return impl_->config.consumer(consumer);
}
std::optional<http::Endpoint> Engine::endpoint(ConsumerId consumer) const {
  return impl_->applications[consumer].endpoint();
}
const World& Engine::world() const { return impl_->loop.world(); }
const Journal& Engine::journal() const { return impl_->journal; }
Journal& Engine::journal() { return impl_->journal; }
const std::vector<gpu::DeviceInfo>& Engine::devices() const { return impl_->devices; }
const DeviceObservation& Engine::observation(DeviceId device) const {
  return impl_->observer.observation(device);
}
std::string Engine::estimated_from(ResidentId resident) const {
  return impl_->targets.estimated_from(resident);
}
std::uint64_t Engine::loaded_uninvited(ConsumerId consumer) const {
  return impl_->services.uninvited_loads(consumer);
}
std::vector<std::string> Engine::log_tail(ConsumerId consumer) const {
  return impl_->applications[consumer].log_tail();
}
void Engine::on_note(std::function<void(ConsumerId, const std::string&)> listener) {
  impl_->notes.set_listener(std::move(listener));
}
std::vector<std::string> Engine::notes(ConsumerId consumer) const { return impl_->notes.texts(consumer); }
std::optional<runner::PortOwner> Engine::listener_of(ConsumerId consumer) const {
  return impl_->applications[consumer].listener();
}
std::optional<int> Engine::pid_of(ConsumerId consumer) const {
  return impl_->applications[consumer].identity().pid;
}
std::chrono::system_clock::time_point Engine::wall_time(Instant at) const {
  return impl_->clock.wall_time(at);
}
Instant Engine::now() const { return impl_->clock.now(); }

std::uint64_t Engine::epoch() const { return impl_->tickets.numbers().epoch(); }

Result<void> Engine::check_of_this_start(TicketId ticket) const {
  if (!impl_->tickets.numbers().is_of_earlier_start(ticket)) return {};
  return fail(ErrorCode::not_found,
              "ticket " + std::to_string(ticket.value) + " is of an earlier start of the daemon");
}

const Holder* Engine::holder(TicketId ticket) const { return impl_->tickets.holder(ticket); }

// --- name resolution ---

Result<Target> Engine::resolve(std::string_view name) { return impl_->targets.resolve(name); }

Result<Target> Engine::resolve(ConsumerId consumer, std::string_view ai_model) {
  return impl_->targets.resolve(consumer, ai_model);
}

std::optional<ConsumerId> Engine::find_consumer(std::string_view name) const {
  return impl_->targets.names().find_consumer(name);
}

std::optional<DeviceId> Engine::find_device(std::string_view name) const {
  const auto id = config::find_id(impl_->config.ids().devices, name);
  return id ? std::optional(DeviceId{*id}) : std::nullopt;
}

std::vector<std::string> Engine::ai_models(ConsumerId consumer) const {
  return impl_->targets.names().ai_models(consumer);
}

const AiModelFacts* Engine::ai_model_facts(ConsumerId consumer, std::string_view ai_model) const {
  return impl_->targets.names().facts(consumer, ai_model);
}

std::optional<ResidentId> Engine::find_resident(ConsumerId consumer, std::string_view ai_model) const {
  return impl_->targets.find_resident(consumer, ai_model);
}

asio::awaitable<void> Engine::refresh_ai_models(ConsumerId consumer) {
  const auto self = impl_;
  co_await self->refresh_ai_models(consumer);
}

asio::awaitable<void> Engine::refresh_all_ai_models() {
  const auto self = impl_;
  co_await self->refresh_all_ai_models();
}

std::uint32_t Engine::user_of(const Principal& principal) {
  const config::UserSource by = impl_->config.snapshot()->users;
  const bool by_header = by == config::UserSource::header || by == config::UserSource::header_or_key;
  const bool by_key = by == config::UserSource::key || by == config::UserSource::header_or_key;
  if (by_header && !principal.user.empty())
    return impl_->users.number_by_name(sanitize_text(principal.user, kMaxUserLength));
  if (by_key && !principal.api_key.empty()) return impl_->users.number_by_key(principal.api_key);
  return 0;
}

std::string Engine::user_label(std::uint32_t number) const { return impl_->users.label(number); }

}  // namespace mgpu::engine
