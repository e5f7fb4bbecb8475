// Observes the devices: takes samples, attributes their bytes to owners, and dispatches a reading to the core
// for each. Owns the sampler and the latest observation of each device.
//
// Thread rule: the strand.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "config/live_config.h"
#include "engine/core_loop.h"
#include "engine/device_sampler.h"
#include "engine/engine.h"
#include "engine/memory_owners.h"
#include "engine/readings.h"

namespace mgpu::engine {

class DeviceObserver {
 public:
  struct Sources {
    std::function<std::vector<runner::RunIdentity>()> runs{};  // by ConsumerId
    std::function<std::vector<TicketProcess>()> ticket_processes{};
    // The devices other than its own on which a consumer was found, whenever that changes.
    std::function<void(ConsumerId, const std::set<DeviceId>&)> on_misplaced{};
    // After a reading in which the memory of a consumer is quite another one than before.
    std::function<void(ConsumerId)> on_bytes_changed{};
    std::function<void(DeviceId)> on_reading{};  // after each reading
  };
  // `devices` by DeviceId. All references must outlive the observer. Fixed for the run: the sampling
  // intervals and the ports that are checked for external services.
  DeviceObserver(boost::asio::io_context& io, const Clock& clock, CoreLoop& loop, gpu::Provider& provider,
                 const std::vector<gpu::DeviceInfo>& devices, const config::LiveConfig& config,
                 Sources sources);

  void start() { sampler_.start(); }
  void stop() { sampler_.stop(); }  // returns at once
  bool wait_for_exit() { return sampler_.wait_for_exit(); }

  void read_now(DeviceId device) { sampler_.read_now(device); }
  void adapt_sampling_rate();  // fast while the world changes, slow otherwise

  // Where the driver reports totals only, new memory is attributed to the consumers that loaded last.
  void note_loaded(ConsumerId consumer) { last_loads_[consumer.value].loaded_at = clock_.now(); }
  void note_found_warm(ConsumerId consumer) { last_loads_[consumer.value].found_warm_at = clock_.now(); }

  const DeviceObservation& observation(DeviceId device) const { return observations_[device.value]; }

  // Returns once each device of the consumer has a reading that began after this call, after kReadingTimeout
  // without one, or when the loop is closed.
  boost::asio::awaitable<void> wait_for_fresh_readings(ConsumerId consumer);
  // The pids of the consumer's processes that hold device memory, from readings taken for this call: a
  // process may have started since the last sample.
  boost::asio::awaitable<std::vector<int>> read_device_pids(ConsumerId consumer);

  // Whether the last readings show memory of what `mgpu run` started for this ticket.
  bool shows_run_of(TicketId ticket) const;
  // Returns when readings that began after this call show none, or when the loop is closed.
  boost::asio::awaitable<void> wait_until_run_is_gone(TicketId ticket);

  static constexpr Duration kReadingTimeout{5'000'000};

 private:
  // Whose a process with memory is. Known of a device's last reading: a process that has ended can't be
  // identified any more, while the driver may still show its memory.
  struct KnownOwner {
    gpu::Owner owner{};
    bool has_owners_run = false;
  };
  using KnownOwners = std::map<int, KnownOwner>;  // by pid

  void on_sample(const Sample& sample);
  void note_misplaced(const Sample& sample, const OwnerCandidates& candidates);
  boost::asio::awaitable<void> wait_for_fresh_reading(DeviceId device);

  const Clock& clock_;
  CoreLoop& loop_;
  const config::LiveConfig& config_;
  const Sources sources_;
  const std::vector<std::optional<std::uint16_t>> external_ports_;  // by ConsumerId
  const gpu::CgroupNames own_cgroup_;
  std::vector<DeviceObservation> observations_;  // by DeviceId
  std::vector<KnownOwners> known_owners_;        // by DeviceId
  std::map<ConsumerId, std::set<DeviceId>> misplaced_{};
  bool driver_listed_processes_ = false;  // at least once, for any device
  LastLoads last_loads_;                  // by ConsumerId
  DeviceSampler sampler_;                 // last: destroyed first, which ends its thread
};

}  // namespace mgpu::engine
