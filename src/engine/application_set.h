// The applications of all consumers, by ConsumerId, each wired to what it needs beyond itself. Each runs with
// the configuration that it was made with: replacing the configuration does not change a run.
//
// Thread rule: the strand.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/live_config.h"
#include "engine/application.h"
#include "engine/store_recorder.h"
#include "runner/cuda_checkpoint.h"

namespace mgpu::engine {

class ApplicationSet {
 public:
  // What an application asks, or tells, about the consumer that it belongs to.
  struct Hooks {
    std::function<void(ConsumerId, Error)> on_lost{};                    // its run ended and was not stopped
    std::function<bool(ConsumerId)> is_in_use{};                         // whether it holds a lease
    std::function<std::vector<std::string>(ConsumerId)> device_uuids{};  // of where it is placed
    std::function<boost::asio::awaitable<std::vector<int>>(ConsumerId)> read_device_pids{};
    std::function<runner::DeviceBinding(ConsumerId)> bind_devices{};  // to where it is placed
    // Its command ended and left this process in the background, which serves it; pid 0: a new run begins.
    std::function<void(ConsumerId, int pid)> on_background{};
  };
  // `cuda_checkpoint`: the utility's path, empty where no consumer wants it. `recorder` must outlive it.
  ApplicationSet(boost::asio::io_context& io, const config::LiveConfig& config, StoreRecorder& recorder,
                 std::string cuda_checkpoint, Hooks hooks);

  std::size_t size() const { return entries_.size(); }
  Application& operator[](ConsumerId consumer) { return *entries_[consumer.value].application; }
  const Application& operator[](ConsumerId consumer) const { return *entries_[consumer.value].application; }

  std::vector<runner::RunIdentity> runs() const;  // by ConsumerId

  void close();

 private:
  struct Entry {
    config::ConsumerSnapshot config{};  // the application refers to it
    std::unique_ptr<Application> application{};
  };
  void wire(ConsumerId consumer, Entry& entry, StoreRecorder& recorder);

  runner::CudaCheckpoint checkpoint_;
  const Hooks hooks_;
  std::vector<Entry> entries_{};  // by ConsumerId
};

}  // namespace mgpu::engine
