// The engine: stamps events, steps the core, carries out the effects that follow. It knows how something is
// done; which and when, the core decides.
//
// Thread rule: the strand, which is the io_context's single thread. Only the sampling of the devices has a
// thread of its own, which posts its readings here.
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
#include "domain/principal.h"
#include "domain/ticket.h"
#include "engine/journal.h"
#include "gpu/attribution.h"
#include "gpu/provider.h"
#include "http/endpoint.h"
#include "sched/world.h"

#include "store/store.h"

namespace mgpu::engine {

class Engine;
class TicketTable;

inline constexpr std::size_t kMaxWhoLength = 200;      // bytes kept of Holder::who
inline constexpr std::size_t kMaxAiModelLength = 256;  // bytes of an AI model's name

// For people, and for attributing memory: where a ticket comes from.
struct Holder {
  std::string who{};         // kept as far as kMaxWhoLength, printable: "POST /v1/chat/completions from
                             // 127.0.0.1:5123", "mgpu run python train.py"
  std::optional<int> pid{};  // its process tree's device memory belongs to its lease
  Principal principal{};     // who asked; kept without its API key
};

// The right to compute, held. Gives itself back when destroyed; movable, not copyable.
class Lease {
 public:
  Lease(Lease&& other) noexcept;
  Lease& operator=(Lease&& other) noexcept;
  ~Lease();

  TicketId ticket() const;
  DeviceId device() const;   // where it was placed; of one that is split, the first
  Duration waited() const;   // arrival to grant
  Duration loading() const;  // the part of it in which its own room was made and its resident loaded

  // Set once the core ended the lease early (its service died); the work should stop.
  const std::optional<Error>& end_error() const;

  // Called (posted on the strand) when that happens, or has happened already; at most one listener, called
  // once; dropped with the lease.
  void on_ended(std::function<void(const Error&)> listener);

 private:
  friend class Engine;
  friend class TicketTable;
  struct State;
  explicit Lease(std::shared_ptr<State> state);
  static void notify_ended(const std::shared_ptr<State>& state);
  std::shared_ptr<State> state_;  // shared with the ticket table, which tells it of an early end
};

// A consumer, and which of its residents.
struct Target {
  ConsumerId consumer{};
  std::optional<ResidentId> resident{};  // none for lease_only consumers
};

// What the last reading of a device showed beside what the core needs.
struct DeviceObservation {
  // Those that belong to no consumer and no lease (gpu/attribution.h).
  std::vector<gpu::ProcessUsage> foreign_processes{};
  std::vector<gpu::Attribution::ConsumerProcess> own_processes{};  // those of consumers
  std::optional<gpu::ProcessUsage> yielding_to{};  // the one of them that the device is left to (yield_to)
  std::optional<gpu::Telemetry> telemetry{};       // utilisation, temperature, power
  Bytes driver_reserved{};                         // can't be allocated: part of no total of ours
};

class Engine {
 public:
  // Starts nothing yet. `provider` must outlive the engine. Errors of the configuration against the devices
  // found (a device that does not exist): invalid_config.
  // `store`: what earlier lives left, and where this one is written down; null: neither. Must outlive the
  // engine.
  static Result<std::unique_ptr<Engine>> create(boost::asio::io_context& io, const config::Config& config,
                                                gpu::Provider& provider, store::Store* store = nullptr);
  ~Engine();

  // Adopts or ends what an earlier life of the daemon left running. Before start(), and before anybody asks
  // for anything. Takes a few seconds at most where something does not answer or does not end.
  boost::asio::awaitable<void> recover();

  // Takes the first readings, looks at external services, starts sampling.
  void start();

  // Waits in the line. Cancelling the awaiting operation cancels the ticket, at every stage, and loses
  // nothing. Errors: those of Refuse (queue_full, wait_limit, never_fits_error, buffer_full_error,
  // load_failed, shutting_down, ...).
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest ask, Holder holder);

  // The same for callers that must know the ticket before the grant: `on_ticket` is called at once, before
  // waiting.
  boost::asio::awaitable<Result<Lease>> acquire(TicketRequest ask, Holder holder,
                                                std::function<void(TicketId)> on_ticket);

  // The service of a held lease ran out of device memory before a byte of its answer went out: the lease is a
  // place in the line again, under its old number and with more room asked for. Returns when it is held
  // again. Cancelling is as in acquire(). Errors: as there; out_of_memory (the core does not take it back).
  boost::asio::awaitable<Result<void>> reacquire(Lease& lease);

  // Work is done once more because its service had run out of memory: counted, ever.
  void count_oom_retry();
  std::uint64_t oom_retries() const;

  // By consumer name, alias, or AI model (of the configuration, or listed by a service). A name
  // "consumer/ai-model" chooses explicitly. Error: not_found, naming the known ones.
  Result<Target> resolve(std::string_view name);

  // The same within one consumer; AI models of services that have several (ollama, router) become residents
  // here.
  Result<Target> resolve(ConsumerId consumer, std::string_view ai_model);
  std::optional<ConsumerId> find_consumer(std::string_view name) const;
  std::optional<DeviceId> find_device(std::string_view name) const;

  // The user that a principal is, for fair shares (TicketRequest::user): told by its name or its API key, as
  // the configuration's `users` says. 0: it is told from no other.
  std::uint32_t user_of(const Principal& principal);
  std::string user_label(std::uint32_t number) const;  // for people; empty where unnamed or long forgotten

  config::Snapshot config() const;
  config::ConsumerSnapshot config_of(ConsumerId consumer) const;
  std::optional<http::Endpoint> endpoint(
      ConsumerId consumer) const;  // none while its process has no port yet

  // The AI models that the consumer is known to serve, without loading it (names as clients would say them).
  std::vector<std::string> ai_models(ConsumerId consumer) const;

  // Whether the application still computes after its answer (service's busy check). False where it can't say.
  boost::asio::awaitable<bool> is_busy(ConsumerId consumer);

  // The gateway could not reach the service, or the service broke off before answering: it is asked whether
  // it is up, and if not, the core is told `reason`.
  void report_suspect(ConsumerId consumer, std::string reason);

  // An operator's words. Errors: not_found, busy, not_supported.
  Result<void> cancel(TicketId ticket, std::string why);  // waiting or running
  Result<void> evict(ResidentId resident, bool park);     // returns when begun; the journal tells the end
  void forget_learned(ConsumerId consumer);               // what was learned of it, now and for later lives

  // The state, for all readers: valid on the strand until the next event.
  const World& world() const;
  const Journal& journal() const;
  Journal& journal();
  const Holder* holder(TicketId ticket) const;
  std::uint64_t epoch() const;  // of this start of the daemon: the numbers of its tickets begin with it
  Result<void> check_of_this_start(TicketId ticket) const;  // error: not_found (it is of an earlier start)
  const std::vector<gpu::DeviceInfo>& devices() const;      // by DeviceId: name, UUID, ...
  const DeviceObservation& observation(DeviceId device) const;
  // AI models that an external service loaded for requests that did not come through us, since the start.
  std::uint64_t loaded_uninvited(ConsumerId consumer) const;
  // The file that its footprint was estimated from, for people; empty: it was not.
  std::string estimated_from(ResidentId resident) const;
  std::vector<std::string> log_tail(ConsumerId consumer) const;
  std::optional<int> pid_of(ConsumerId consumer) const;
  std::chrono::system_clock::time_point wall_time(Instant at) const;
  Instant now() const;

  // No new work; running work ends or its limit passes; own processes are stopped. Returns when all is done.
  boost::asio::awaitable<void> drain();

  // The devices are read no more. False: the driver hangs (for kDriverStopTimeout already), so that the
  // provider must not be destroyed, and the process can end only without it.
  bool stop_sampling();

 private:
  struct Impl;
  explicit Engine(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;  // shared with the coroutines under way, which may outlive the engine
};

}  // namespace mgpu::engine
