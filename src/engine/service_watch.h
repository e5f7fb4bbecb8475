// Looks at services: what they offer becomes known, what they hold without us counts as loaded, what they
// loaded uninvited is counted and, where the configuration says so, evicted; a service that is suspected to
// be down is asked. Owns the records of uninvited loads.
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
  // What it works with; all of it must outlive it.
  struct Parts {
    CoreLoop& loop;
    TaskSpawner& tasks;
    ApplicationSet& applications;
    DeviceObserver& devices;
    TargetResolver& targets;
    const config::LiveConfig& config;
  };
  explicit ServiceWatch(Parts parts);

  void start();  // polls each consumer whose application wants it, until the loop is closed or drains

  // A request found its service unreachable: asks the service, and if it is down, tells the core `reason`.
  void check_suspect(ConsumerId consumer, std::string reason);

  // AI models that an external service loaded for requests that did not come through us, since the start.
  std::uint64_t uninvited_loads(ConsumerId consumer) const;

 private:
  boost::asio::awaitable<void> run_poll_loop(ConsumerId consumer);
  boost::asio::awaitable<void> poll(ConsumerId consumer);
  boost::asio::awaitable<void> ask_suspect(ConsumerId consumer, std::string reason);
  boost::asio::awaitable<void> evict_uninvited(ConsumerId consumer);
  std::vector<ResidentId> warm_residents(ConsumerId consumer, const ServiceSnapshot& seen);
  bool report_found_warm(ResidentId resident);  // whether the core did not know

  const Parts parts_;
  std::map<ConsumerId, UninvitedLoads> uninvited_{};  // none: never polled
};

}  // namespace mgpu::engine
