// The engine: stamps events, steps the core, executes the effects. The core decides what happens and when;
// the engine implements it.
//
// Thread rule: the strand, which is the io_context's single thread. Only device sampling has its own thread,
// which posts its readings to the strand.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "base/result.h"
#include "config/live_config.h"
#include "domain/ai_model_facts.h"
#include "domain/principal.h"
#include "domain/ticket.h"
#include "engine/journal.h"
#include "gpu/attribution.h"
#include "gpu/provider.h"
#include "http/endpoint.h"
#include "runner/port_owner.h"
#include "sched/world.h"

#include "store/store.h"

namespace mgpu::engine {

class Engine;
class TicketTable;

inline constexpr std::size_t kMaxWhoLength = 200;      // bytes kept of Holder::who
inline constexpr std::size_t kMaxAiModelLength = 256;  // bytes

// The origin of a ticket: for display, and for attributing memory.
struct Holder {
  std::string who{};         // printable, cut at kMaxWhoLength: "POST /v1/chat/completions from
                             // 127.0.0.1:5123", "mgpu run python train.py"
  std::optional<int> pid{};  // device memory of its process tree belongs to the lease
  Principal principal{};     // the requester; stored without its API key
};

// A held lease: the right to compute. Released when destroyed; movable, not copyable.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  TicketId ticket() const;
  DeviceId device() const;   // of a split lease: the first one
  Duration waited() const;   // arrival to grant
  Duration loading() const;  // the part of waited() spent evicting and loading for this lease

  // Set once the core ended the lease early (its service died); the holder should stop its work.
  const std::optional<Error>& end_error() const;

  // `listener` is called once, posted on the strand, when the core ends the lease early; also if that has
  // already happened. At most one listener; dropped with the lease.
  void on_ended(std::function<void(const Error&)> listener);

 private:
  friend class Engine;
  friend class TicketTable;
  struct State;
  explicit Lease(std::shared_ptr<State> state);
  static void notify_ended(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;  // shared with the ticket table, which reports an early end to it
};

// When Engine::unload returns: at the latest when the resident is unloaded, or already when it is known to be
// in use.
enum class UnloadWait : std::uint8_t { until_unloaded, unless_in_use };

// A consumer and one of its residents.
struct Target {
  ConsumerId consumer{};
  std::optional<ResidentId> resident{};  // none for lease_only consumers
  // The AI model as its service knows it; empty: the consumer has only one. Differs from the resident's where
  // two names share weights.
  std::string ai_model{};
};

// What the last reading of a device contained besides the core's input.
struct DeviceObservation {
  // Processes that belong to no consumer and no lease (gpu/attribution.h).
  std::vector<gpu::ProcessUsage> foreign_processes{};
  std::vector<gpu::Attribution::ConsumerProcess> own_processes{};  // of consumers
  std::optional<gpu::ProcessUsage> yielding_to{};  // the foreign process that the device yields to (yield_to)
  std::optional<gpu::Telemetry> telemetry{};       // utilisation, temperature, power
  Bytes driver_reserved{};  // not allocatable; part of no total that the daemon reports
};

class Engine {
 public:
  // Starts nothing. `provider` must outlive the engine. Error: invalid_config (the configuration does not
  // match the devices found). `store`: holds the state of earlier starts of the daemon and receives that of
  // this one; null: nothing is restored or recorded. Must outlive the engine.
  static Result<std::unique_ptr<Engine>> create(boost::asio::io_context& io, const config::Config& config,
                                                gpu::Provider& provider, store::Store* store = nullptr);
  ~Engine();

  // Adopts or ends the processes that an earlier start of the daemon left running. Must be called before
  // start() and before any request. Takes a few seconds at most when a process does not respond or does not
  // end.
  boost::asio::awaitable<void> recover();

  // Takes the first readings, checks external services, starts sampling.
  void start();

  // Queues a ticket and waits for its grant. Cancelling the awaiting operation cancels the ticket at every
  // stage, and releases a grant that crosses the cancellation. Errors: those of Refuse (queue_full,
  // wait_limit, never_fits_error, buffer_full_error, load_failed, shutting_down, ...).
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest ask, Holder holder);

  // The same for callers that need the ticket before the grant: `on_ticket` is called synchronously, before
  // waiting.
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest ask, Holder holder,
                                                std::function<void(TicketId)> on_ticket);

  // Queues a held lease again, with its old number and a larger footprint, after its service ran out of
  // device memory before the first byte of its response was forwarded. Returns when it is granted again.
  // Cancelling: as in acquire(). Errors: those of acquire(); out_of_memory (the core does not queue it
  // again).
  boost::asio::awaitable<Result<void>> reacquire(Lease& lease);

  // Counts a request that is sent again because its service ran out of memory.
  void count_oom_retry();
  std::uint64_t oom_retries() const;

  // Resolves a consumer name, an alias, or an AI model (from the configuration, or listed by a service).
  // "consumer/ai-model" selects explicitly. Error: not_found, with the known names.
  Result<Target> resolve(std::string_view name);

  // The same within one consumer. AI models of services that serve several (ollama, router) become residents
  // here.
  Result<Target> resolve(ConsumerId consumer, std::string_view ai_model);
  std::optional<ConsumerId> find_consumer(std::string_view name) const;
  std::optional<DeviceId> find_device(std::string_view name) const;

  // The user number of a principal, for fair shares (TicketRequest::user): by name or by API key, as the
  // configuration's `users` defines. 0: not distinguished from other users.
  std::uint32_t user_of(const Principal& principal);
  std::string user_label(std::uint32_t number) const;  // for display; empty if unnamed or forgotten

  config::Snapshot config() const;
  config::ConsumerSnapshot config_of(ConsumerId consumer) const;
  std::optional<http::Endpoint> endpoint(
      ConsumerId consumer) const;  // none while its process has no port yet

  // Starts the consumer's process, unless it is up, for a request that only looks. Returns when its service
  // is healthy. Errors: unavailable (starting it would take device memory: the detail says what loads it; or
  // it failed a moment ago), load_failed, shutting_down.
  boost::asio::awaitable<Result<void>> ensure_up(ConsumerId consumer);

  // Unloads a resident for a client; false if it was not loaded. One that is in use is unloaded after its
  // work and that of the tickets that wait for it. Cancelling ends the wait only. Errors: busy (pinned, or
  // still in use after limits.wait_limit), not_supported, eviction_failed, shutting_down.
  boost::asio::awaitable<Result<bool>> unload(ResidentId resident, UnloadWait wait);

  // See KeepAliveSet.
  void set_keep_alive(ResidentId resident, Duration time);

  // The AI models that the consumer is known to serve, as clients name them. Loads nothing.
  std::vector<std::string> ai_models(ConsumerId consumer) const;

  // What files tell about one of them; null: nothing. Valid until the strand runs other work.
  const AiModelFacts* ai_model_facts(ConsumerId consumer, std::string_view ai_model) const;

  // Its resident, if it has one.
  std::optional<ResidentId> find_resident(ConsumerId consumer, std::string_view ai_model) const;

  // Reads the consumer's files and asks its service, if that is up, which AI models there are: after a
  // request that may have changed them.
  boost::asio::awaitable<void> refresh_ai_models(ConsumerId consumer);

  // The same of all consumers, for a name that is not known: it may be new. At most twice a second.
  boost::asio::awaitable<void> refresh_all_ai_models();

  // Whether the application still computes after its response (the service's busy check). False if unknown.
  boost::asio::awaitable<bool> is_busy(ConsumerId consumer);

  // Called when the gateway could not reach the service, or when the service disconnected before responding.
  // Checks the service's health; if it is down, dispatches `reason` to the core.
  void report_suspect(ConsumerId consumer, std::string reason);

  // Operator commands. Errors: not_found, busy, not_supported.
  Result<void> cancel(TicketId ticket, std::string why);  // waiting or running
  Result<void> evict(ResidentId resident, bool park);     // returns once begun; the end is in the journal
  void forget_learned(ConsumerId consumer);               // discards its learned costs, also in the store

  // The state for all readers: valid on the strand until the next event.
  const World& world() const;
  const Journal& journal() const;
  Journal& journal();
  const Holder* holder(TicketId ticket) const;
  std::uint64_t epoch() const;  // of this start of the daemon: the prefix of its ticket numbers
  Result<void> check_of_this_start(TicketId ticket) const;  // error: not_found (of an earlier start)
  const std::vector<gpu::DeviceInfo>& devices() const;      // by DeviceId: name, UUID, ...
  const DeviceObservation& observation(DeviceId device) const;
  // How many AI models an external service loaded without a request through the daemon, since the start.
  std::uint64_t loaded_uninvited(ConsumerId consumer) const;
  // The file that the footprint was estimated from, for display; empty if it was not estimated.
  std::string estimated_from(ResidentId resident) const;
  std::vector<std::string> log_tail(ConsumerId consumer) const;
  std::optional<int> pid_of(ConsumerId consumer) const;
  // What an operator should know about the consumer now (engine/consumer_notes.h).
  std::vector<std::string> notes(ConsumerId consumer) const;
  void on_note(
      std::function<void(ConsumerId, const std::string& text)> listener);  // for the log; one at most
  // Who listens at the address of an external service; none: nobody, or it is on another host.
  std::optional<runner::PortOwner> listener_of(ConsumerId consumer) const;
  std::chrono::system_clock::time_point wall_time(Instant at) const;
  Instant now() const;

  // Admits no new work; running work ends or reaches its limit; processes that the daemon runs are stopped.
  // Returns when all have ended.
  boost::asio::awaitable<void> drain();

  // Stops reading the devices. False: the driver hangs (longer than kDriverStopTimeout); the provider must
  // not be destroyed, and the process must exit without destroying it.
  bool stop_sampling();

 private:
  struct Impl;
  explicit Engine(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the coroutines in progress, which may outlive the engine
};

}  // namespace mgpu::engine
