// Polls services: records the AI models that they offer, reports those found warm to the core, counts
// uninvited loads and evicts them if configured, and checks the health of suspect services. Owns the records
// of uninvited loads.
//
// Thread rule: the strand.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "config/live_config.h"
#include "engine/application_set.h"
#include "engine/core_loop.h"
#include "engine/device_observer.h"
#include "engine/target_resolver.h"
#include "engine/task_spawner.h"
#include "engine/uninvited_loads.h"

namespace mgpu::engine {

class ServiceWatch {
 public:
  // The parts that it uses; all must outlive it.
  struct Parts {
    CoreLoop& loop;
    TaskSpawner& tasks;
    ApplicationSet& applications;
    DeviceObserver& devices;
    TargetResolver& targets;
    const config::LiveConfig& config;
  };
  explicit ServiceWatch(Parts parts);

  void start();  // polls each consumer whose application requires it, until the loop is closed or drains

  // Asks a service that is up, and is polled at all, at once.
  boost::asio::awaitable<void> look_now(ConsumerId consumer);

  // Called when a request could not reach the service: checks its health, and if it is down, dispatches
  // `reason` to the core.
  void check_suspect(ConsumerId consumer, std::string reason);

  // How many AI models an external service loaded without a request through the daemon, since the start.
  std::uint64_t uninvited_loads(ConsumerId consumer) const;

 private:
  boost::asio::awaitable<void> run_poll_loop(ConsumerId consumer);
  boost::asio::awaitable<void> poll(ConsumerId consumer);
  boost::asio::awaitable<void> ask_suspect(ConsumerId consumer, std::string reason);
  boost::asio::awaitable<void> evict_uninvited(ConsumerId consumer);
  std::vector<ResidentId> warm_residents(ConsumerId consumer, const ServiceSnapshot& seen);
  void report_sizes(ConsumerId consumer, const ServiceSnapshot& seen);
  bool report_found_warm(ResidentId resident);  // returns whether that is new to the core

  const Parts parts_;
  std::map<ConsumerId, UninvitedLoads> uninvited_{};  // none: never polled
};

}  // namespace mgpu::engine
