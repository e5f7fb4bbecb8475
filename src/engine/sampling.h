// The one thread beside the strand: it asks the provider for readings, often while something changes, seldom
// otherwise, at once when told to. What it reads it posts to the strand; it decides nothing.
//
// Thread rule: everything here is called on the strand; the mutex guards what the thread shares with it.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include <boost/asio/any_io_executor.hpp>

#include "base/time.h"
#include "domain/consumer.h"
#include "gpu/inner_pids.h"
#include "gpu/process_table.h"
#include "gpu/provider.h"

namespace mgpu::engine {

// The daemon's steady clock: an Instant is the microseconds since it was made (and a little, so that 0 stays
// free for "never").
class Clock {
 public:
  Instant now() const;
  std::chrono::steady_clock::time_point steady(Instant at) const;
  std::chrono::system_clock::time_point wall(Instant at) const;

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now() - std::chrono::seconds(1);
  std::chrono::system_clock::time_point wall_start_ =
      std::chrono::system_clock::now() - std::chrono::seconds(1);
};

struct Sample {
  DeviceId device{};
  Instant taken{};  // before the driver was asked: nothing that happened later can be missing from it
  Result<gpu::RawReading> raw{};
  gpu::Vitals vitals{};
  gpu::ProcessTable processes{};             // those of the reading, the listeners, and their ancestors
  std::map<std::uint16_t, int> listeners{};  // who listens on the ports asked for
};

class Sampling {
 public:
  struct Pace {
    Duration quick{};
    Duration idle{};
  };
  // `indices`: the provider's, by DeviceId. `ports`: of external services, whose listeners own their memory.
  // `hear` is called on the strand; not after stop().
  Sampling(boost::asio::any_io_executor strand, const Clock& clock, gpu::Provider& provider,
           std::vector<std::uint32_t> indices, std::vector<std::uint16_t> ports, Pace pace,
           std::function<void(Sample)> hear);
  ~Sampling();

  void start();
  void stop();  // returns once the thread has ended

  void hurry(bool quick);  // from now on
  void read_now(DeviceId device);

 private:
  // Who the processes of a device's last reading are. /proc is asked again when the driver lists other ones,
  // and now and then: a pid that stays for seconds may have got another parent.
  struct Acquaintance {
    std::vector<int> listed{};  // by the driver
    std::vector<int> meant{};   // the same, as the host calls them
    gpu::ProcessTable processes{};
    std::chrono::steady_clock::time_point made{};
  };

  void run();
  Sample sample(DeviceId device);
  const Acquaintance& get_to_know(DeviceId device, const gpu::RawReading& reading);
  void look_for_listeners();

  boost::asio::any_io_executor strand_;
  const Clock& clock_;
  gpu::Provider& provider_;
  const std::vector<std::uint32_t> indices_;
  const std::vector<std::uint16_t> ports_;
  const Pace pace_;
  // Shared with what was posted: a sample that arrives after stop() finds it empty.
  std::shared_ptr<std::function<void(Sample)>> hear_;

  // Of the thread alone.
  gpu::InnerPids inner_pids_;
  std::map<DeviceId, Acquaintance> acquaintances_;
  std::map<std::uint16_t, int> listeners_;
  std::map<int, std::uint64_t> listener_starts_;
  std::chrono::steady_clock::time_point look_again_{};

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool quick_ = true;
  bool pace_changed_ = false;
  std::set<DeviceId> wanted_;
  std::thread thread_;
};

}  // namespace mgpu::engine
