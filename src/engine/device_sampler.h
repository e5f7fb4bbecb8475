// A thread that takes readings from the provider: at the `busy` interval while something changes, at the
// `idle` interval otherwise, and at once on read_now(). Each reading is posted to the strand.
//
// A driver call may hang, and the thread inside it can't be ended: then it is abandoned, and nothing waits
// for it.
//
// Thread rule: call everything on the strand; the state shared with the thread is in Worker.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/time.h"
#include "domain/consumer.h"
#include "engine/clock.h"
#include "gpu/process_table.h"
#include "gpu/provider.h"

namespace mgpu::engine {

inline constexpr std::chrono::seconds kDriverStopTimeout{2};  // for a reading in progress at shutdown

struct Sample {
  DeviceId device{};
  Instant taken{};  // before the driver call: the reading includes everything that happened earlier
  Result<gpu::RawReading> raw{};
  gpu::Telemetry telemetry{};
  gpu::ProcessTable processes{};                 // those of the reading, the listeners, and their ancestors
  std::map<std::uint16_t, int> listener_pids{};  // the process that listens on each of the ports
};

class DeviceSampler {
 public:
  struct Intervals {
    Duration busy{};
    Duration idle{};
  };
  // `indices`: the provider's, by DeviceId. `ports`: of external services; the processes that listen on them
  // own their memory. `on_sample` is called on the strand, and never after stop(). The provider must outlive
  // the thread: see wait_for_exit().
  DeviceSampler(boost::asio::any_io_executor strand, const Clock& clock, gpu::Provider& provider,
                std::vector<std::uint32_t> indices, std::vector<std::uint16_t> ports, Intervals intervals,
                std::function<void(Sample)> on_sample);
  ~DeviceSampler();

  void start();
  void stop();  // returns at once

  // After stop(): whether the thread has ended. Waits for it, at most until kDriverStopTimeout after the
  // stop. False: the driver hangs; the provider must not be destroyed while the thread runs.
  bool wait_for_exit();

  void set_busy(bool busy);  // takes effect at once
  void read_now(DeviceId device);

 private:
  struct Worker;
  std::shared_ptr<Worker> worker_;  // shared with the thread, which may be abandoned
  std::chrono::steady_clock::time_point stopped_at_{};
  std::thread thread_;
};

}  // namespace mgpu::engine
