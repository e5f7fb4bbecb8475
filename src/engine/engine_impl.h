// What the engine is made of. engine.cc tells the story; acquire, observe and drain have files of their own.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "engine/application.h"
#include "engine/device_sampler.h"
#include "engine/engine.h"
#include "engine/lease_state.h"
#include "engine/name_index.h"
#include "engine/readings.h"
#include "engine/setup.h"
#include "engine/store_recorder.h"
#include "engine/timed_calls.h"
#include "engine/user_table.h"
#include "gpu/attribution.h"

#include "pagecache/read_ahead_worker.h"

namespace mgpu::engine {

// How long the strand waits for a look at files: of weights, and of what an application has open.
inline constexpr Duration kWeightsLookupTimeout = std::chrono::milliseconds(250);
inline constexpr Duration kOpenFilesTimeout = std::chrono::milliseconds(100);

// What an external service does without us.
struct UninvitedLoads {
  bool has_baseline = false;  // it was looked at: what is there from now on came later
  std::uint64_t count = 0;    // AI models that it loaded for somebody who did not ask here, ever
  std::map<ResidentId, Instant>
      unused_residents{};  // those of them that are still there and unused: since when
};

// Coroutines under way share it: what they come back to must still be there, if only to find it closed.
struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  using LeaseStatePtr = std::shared_ptr<Lease::State>;

  Impl(boost::asio::io_context& context, const config::Config& configuration, gpu::Provider& provider,
       Setup setup, store::Store* store);

  void start();
  void close();  // nothing is fed or heard any more

  // --- engine.cc: the loop ---
  // Tells the core, and does what it says. Called while it runs, it queues: the core hears one thing at a
  // time.
  void dispatch_event(EventPayload what);
  void step_core(EventPayload what);
  void execute(const Effect& effect);
  void execute_load(const Load& load);
  void execute_evict(const Evict& evict);
  void arm_wake_up();
  void update_sampling_rate();
  std::string holder_description(TicketId ticket) const;
  std::vector<std::string> device_uuids(ConsumerId consumer) const;  // of the devices that it is placed on

  // --- acquire.cc ---
  struct LeaseStateGuard;
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest ask, Holder holder,
                                                std::function<void(TicketId)> on_ticket);
  std::string slurm_job_of(int pid) const;
  void record_chosen_device(TicketId ticket);  // that the core has chosen
  void on_grant(const Grant& grant);
  boost::asio::awaitable<Result<void>> reacquire(LeaseStatePtr lease_state);
  boost::asio::awaitable<Result<Grant>> wait_for_decision(LeaseStatePtr lease_state);
  void on_requeued(const Requeued& requeued);
  void on_refuse(const Refuse& refusal);
  void on_end_lease(const EndLease& end);

  // --- page_cache.cc ---
  std::function<std::vector<std::string>()> weights_lookup(
      ResidentId resident) const;  // to be called off the strand
  LoadSource load_source(const Load& load);
  void execute_read_ahead(const ReadAhead& wanted);
  boost::asio::awaitable<void> track_open_weights(ResidentId resident);

  // --- observe.cc: what the world outside says by itself ---
  void on_sample(Sample sample);
  std::vector<int> pids_on_devices(ConsumerId consumer) const;                     // as of the last readings
  boost::asio::awaitable<std::vector<int>> read_device_pids(ConsumerId consumer);  // as of one taken for it
  std::vector<gpu::Owner> owners_on(DeviceId device, const Sample& sample) const;
  gpu::Owner owner_by_listener(ConsumerId consumer, int pid, const Sample& sample) const;
  void report_service_lost(ConsumerId consumer, Error why);
  boost::asio::awaitable<void> poll_consumer(ConsumerId consumer);
  bool report_found_warm(ResidentId resident);  // whether that was news
  std::vector<ResidentId> warm_residents(ConsumerId consumer, const ServiceSnapshot& seen);
  boost::asio::awaitable<void> wait_for_fresh_reading(DeviceId device);  // that began after this call
  void record_uninvited_load(ResidentId resident);
  boost::asio::awaitable<void> evict_uninvited(ConsumerId consumer);
  boost::asio::awaitable<void> run_poll_loop(ConsumerId consumer);
  boost::asio::awaitable<void> check_service_lost(ConsumerId consumer, std::string reason);
  boost::asio::awaitable<void> run_hour_loop();

  // --- recovery.cc ---
  boost::asio::awaitable<void> recover();
  boost::asio::awaitable<Result<void>> adopt_or_end(store::ProcessRow row);
  bool skip_if_owned(const store::ProcessRow& row);
  void end_strays();

  // --- naming.cc ---
  ResidentId find_or_add_resident(ConsumerId consumer, const std::string& ai_model, Bytes footprint);
  Result<Target> resolve_target(ConsumerId consumer, const std::string& ai_model);

  // --- drain.cc ---
  boost::asio::awaitable<void> drain();

  // Runs `work` on the strand and hands on its result, exactly once, whatever happens: what libraries throw
  // ends here, as Code::internal.
  void spawn(boost::asio::awaitable<Result<void>> work, std::function<void(Result<void>)> on_done);
  void spawn(boost::asio::awaitable<void> work);

  Application& application(ConsumerId consumer) { return *applications[consumer.value]; }
  Application& application_of(ResidentId resident) { return application(world.registry[resident].consumer); }

  boost::asio::io_context& io;
  const config::Config config;
  Clock clock{};
  World world;
  const std::vector<gpu::DeviceInfo> devices;
  const std::vector<config::ConsumerConfig> consumers;
  std::map<ResidentId, std::string> estimated_from;  // whose footprint was: the file
  Journal journal;
  StoreRecorder recorder;
  NameIndex name_index;
  UserTable user_table;
  runner::CudaCheckpoint checkpoint;
  std::vector<std::unique_ptr<Application>> applications;
  std::map<TicketId, LeaseStatePtr> lease_states;  // waiting and holding
  std::uint64_t last_ticket = 0;
  std::uint64_t oom_retries = 0;
  std::deque<EventPayload> pending_events;
  bool dispatching = false;
  bool closed = false;
  boost::asio::steady_timer wake_up;
  Instant last_tick{};
  Duration tick_backoff{};                      // from it to the next one, at least
  boost::asio::steady_timer changed;            // never fires: cancelled after every event, for drain()
  std::vector<DeviceObservation> observations;  // by DeviceId
  bool driver_listed_processes = false;
  LastLoads last_loads;               // by ConsumerId
  const gpu::CgroupNames own_cgroup;  // of the daemon: what it shares with everybody tells nobody apart
  boost::asio::steady_timer hour_timer;
  std::map<ResidentId, std::set<std::string>> opened_weights;  // files that were open while it loaded
  pagecache::ReadAheadWorker read_ahead;
  TimedCalls timed_calls;
  std::vector<UninvitedLoads> uninvited_loads;  // by ConsumerId
  DeviceSampler sampler;                        // last: its thread ends first
};

}  // namespace mgpu::engine
