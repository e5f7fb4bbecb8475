// Polls services, so that the core learns within two seconds what they did by themselves: AI models that were
// loaded, unloaded, parked or deleted without the daemon, and external services that ended. Also records the
// AI models that they offer, counts uninvited loads and evicts them if configured, and checks the health of
// suspect services.
//
// Thread rule: the strand.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/live_config.h"
#include "engine/application_set.h"
#include "engine/core_loop.h"
#include "engine/device_observer.h"
#include "engine/listing_record.h"
#include "engine/memory_drop.h"
#include "engine/target_resolver.h"
#include "engine/task_spawner.h"
#include "engine/uninvited_loads.h"

namespace mgpu::engine {

class ServiceWatch {
 public:
  // The parts that it uses; all must outlive it.
  struct Parts {
    boost::asio::io_context& io;
    CoreLoop& loop;
    TaskSpawner& tasks;
    ApplicationSet& applications;
    DeviceObserver& devices;
    TargetResolver& targets;
    const config::LiveConfig& config;
  };
  explicit ServiceWatch(Parts parts);

  void start();  // polls each consumer that has a service, until the loop is closed or drains

  void close();

  // Polls the service soon instead of at its next time: something of it has changed.
  void poll_soon(ConsumerId consumer);
  // Returns once a poll that began after this call has ended, or after kPollTimeout; at once if the service
  // is not up or not polled.
  boost::asio::awaitable<void> poll_now(ConsumerId consumer);

  // Call after each reading: where a service lists nothing, the driver alone shows that it dropped what it
  // held.
  void note_reading(DeviceId device);

  // Called when a request could not reach the service: checks its health, and if it is down, dispatches
  // `reason` to the core.
  void check_suspect(ConsumerId consumer, std::string reason);

  // How many AI models a service loaded without a request through the daemon, since the start.
  std::uint64_t uninvited_loads(ConsumerId consumer) const {
    return watched_[consumer.value].uninvited.count();
  }

  // From the end of a poll to the begin of the next.
  static constexpr Duration kPollInterval{1'000'000};
  static constexpr Duration kMinPollInterval{200'000};  // also with poll_soon()
  static constexpr Duration kPollTimeout{5'000'000};

 private:
  struct Watched {
    explicit Watched(boost::asio::io_context& io) : pause(io) {}
    ListingRecord listed{};
    UninvitedLoads uninvited{};
    MemoryDrop memory{};
    bool lists_nothing = false;      // it is up, and does not tell what it holds
    bool has_dropped = false;        // readings showed that
    unsigned unreachable_polls = 0;  // in a row
    std::uint64_t polls_begun = 0, polls_ended = 0;
    bool polls_again = false;         // poll_soon() was called since the last poll began
    bool may_be_woken = false;        // `pause` is the long one
    boost::asio::steady_timer pause;  // between two polls
  };

  boost::asio::awaitable<void> run_poll_loop(ConsumerId consumer);
  boost::asio::awaitable<void> pause_between_polls(Watched& watched);
  boost::asio::awaitable<void> poll(ConsumerId consumer);
  boost::asio::awaitable<void> report_news(ConsumerId consumer, std::uint64_t change_count, Listing listing,
                                           bool loads_lazily);
  bool has_changed_since(std::uint64_t change_count, ResidentId resident) const;
  void report_found(const ResidentFound& found);
  void note_unreachable(ConsumerId consumer);
  boost::asio::awaitable<void> ask_suspect(ConsumerId consumer, std::string reason);
  boost::asio::awaitable<void> evict_uninvited(ConsumerId consumer);
  void report_sizes(ConsumerId consumer, const ServiceSnapshot& seen);
  // None: the answer says nothing about what is loaded.
  std::optional<Listing> listing_of(ConsumerId consumer, const ServiceSnapshot& seen, Instant asked_at);

  const Parts parts_;
  std::deque<Watched> watched_{};  // by ConsumerId
};

}  // namespace mgpu::engine
