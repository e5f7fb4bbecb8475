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
#include "engine/engine.h"
#include "engine/readings.h"
#include "engine/records.h"
#include "engine/sampling.h"
#include "engine/setup.h"
#include "engine/standing.h"
#include "engine/targets.h"
#include "engine/timed_calls.h"
#include "engine/users.h"
#include "gpu/attribution.h"

#include "pagecache/read_ahead_worker.h"

namespace mgpu::engine {

// How long the strand waits for a look at files: of weights, and of what an application has open.
inline constexpr Duration kLookAtWeights = std::chrono::milliseconds(250);
inline constexpr Duration kLookAtOpenFiles = std::chrono::milliseconds(100);

// What an external service does without us.
struct Visits {
  bool seen = false;            // it was looked at: what is there from now on came later
  std::uint64_t uninvited = 0;  // AI models that it loaded for somebody who did not ask here, ever
  std::map<ResidentId, Instant> present{};  // those of them that are still there and unused: since when
};

// Coroutines under way share it: what they come back to must still be there, if only to find it closed.
struct Engine::Impl : std::enable_shared_from_this<Engine::Impl> {
  using Standing = std::shared_ptr<Lease::State>;

  Impl(boost::asio::io_context& context, const config::Config& configuration, gpu::Provider& provider,
       Setup setup, store::Store* store);

  void start();
  void close();  // nothing is fed or heard any more

  // --- engine.cc: the loop ---
  // Tells the core, and does what it says. Called while it runs, it queues: the core hears one thing at a
  // time.
  void feed(EventPayload what);
  void tell_core(EventPayload what);
  void obey(const Effect& effect);
  void obey_load(const Load& load);
  void obey_evict(const Evict& evict);
  void arm_wake_up();
  void choose_pace();
  std::string who(TicketId ticket) const;
  std::vector<std::string> uuids_of(ConsumerId consumer) const;  // of the devices that it is placed on

  // --- acquire.cc ---
  struct Place;
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest ask, Holder holder,
                                                std::function<void(TicketId)> on_ticket);
  std::string job_of(int pid) const;
  void note_device(TicketId ticket);  // that the core has chosen
  void on_grant(const Grant& grant);
  boost::asio::awaitable<Result<void>> hold_again(Standing standing);
  boost::asio::awaitable<Result<Grant>> decision_on(Standing standing);
  void on_requeued(const Requeued& requeued);
  void on_refuse(const Refuse& refusal);
  void on_end_lease(const EndLease& end);

  // --- page_cache.cc ---
  std::function<std::vector<std::string>()> weights_of(
      ResidentId resident) const;  // to be called off the strand
  LoadSource source_of(const Load& load);
  void obey_read_ahead(const ReadAhead& wanted);
  boost::asio::awaitable<void> watch_weights(ResidentId resident);

  // --- observe.cc: what the world outside says by itself ---
  void hear(Sample sample);
  std::vector<int> pids_on_devices(ConsumerId consumer) const;                // as of the last readings
  boost::asio::awaitable<std::vector<int>> holders_now(ConsumerId consumer);  // as of one taken for it
  std::vector<gpu::Owner> owners_on(DeviceId device, const Sample& sample) const;
  gpu::Owner owner_by_listener(ConsumerId consumer, int pid, const Sample& sample) const;
  void lost(ConsumerId consumer, Error why);
  boost::asio::awaitable<void> look_at(ConsumerId consumer);
  bool found_warm(ResidentId resident);  // whether that was news
  std::vector<ResidentId> warm_in(ConsumerId consumer, const Sighting& seen);
  boost::asio::awaitable<void> reading_from_now(DeviceId device);  // that began after this call
  void note_uninvited(ResidentId resident);
  boost::asio::awaitable<void> show_out_uninvited(ConsumerId consumer);
  boost::asio::awaitable<void> watch(ConsumerId consumer);
  boost::asio::awaitable<void> look_for_loss(ConsumerId consumer, std::string reason);
  boost::asio::awaitable<void> tell_hours();

  // --- recovery.cc ---
  boost::asio::awaitable<void> recover();
  boost::asio::awaitable<Result<void>> take_over(store::ProcessRow row);
  bool leave_to_its_owner(const store::ProcessRow& row);
  void end_strays();

  // --- naming.cc ---
  ResidentId resident_named(ConsumerId consumer, const std::string& ai_model, Bytes footprint);
  Result<Target> target(ConsumerId consumer, const std::string& ai_model);

  // --- drain.cc ---
  boost::asio::awaitable<void> drain();

  // Runs `work` on the strand and hands on its result, exactly once, whatever happens: what libraries throw
  // ends here, as Code::internal.
  void go(boost::asio::awaitable<Result<void>> work, std::function<void(Result<void>)> answer);
  void go(boost::asio::awaitable<void> work);

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
  Records records;
  Targets targets;
  Users users;
  runner::CudaCheckpoint checkpoint;
  std::vector<std::unique_ptr<Application>> applications;
  std::map<TicketId, Standing> standings;  // waiting and holding
  std::uint64_t last_ticket = 0;
  std::uint64_t oom_retries = 0;
  std::deque<EventPayload> pending;
  bool feeding = false;
  bool closed = false;
  boost::asio::steady_timer wake_up;
  Instant last_tick{};
  Duration sleep{};                       // from it to the next one, at least
  boost::asio::steady_timer changed;      // never fires: cancelled after every event, for drain()
  std::vector<Observation> observations;  // by DeviceId
  bool driver_listed_somebody = false;
  Arrivals arrivals;                  // by ConsumerId
  const gpu::CgroupNames own_cgroup;  // of the daemon: what it shares with everybody tells nobody apart
  boost::asio::steady_timer next_hour;
  std::map<ResidentId, std::set<std::string>> seen_weights;  // files that were open while it loaded
  pagecache::ReadAheadWorker reading_ahead;
  TimedCalls timed_calls;
  std::vector<Visits> visits;  // by ConsumerId
  Sampling sampling;           // last: its thread ends first
};

}  // namespace mgpu::engine
