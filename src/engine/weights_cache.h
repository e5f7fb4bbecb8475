// The weights in the page cache: the files that a resident is loaded from, whether they are cached, and
// reading them ahead. Owns the read-ahead thread and the files seen open during loads.
//
// Thread rule: the strand; file lookups are timed calls, since a network folder may hang.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "config/live_config.h"
#include "domain/effect.h"
#include "engine/core_loop.h"
#include "engine/timed_calls.h"

#include "pagecache/read_ahead_worker.h"

namespace mgpu::engine {

class WeightsCache {
 public:
  // The root process of a consumer's application, while it runs.
  using PidLookup = std::function<std::optional<int>(ConsumerId)>;

  // `device_memory`: sum over all devices. All references must outlive the cache.
  WeightsCache(boost::asio::io_context& io, const CoreLoop& loop, const config::LiveConfig& config,
               TimedCalls& timed_calls, Bytes device_memory, PidLookup find_pid);

  // The source that a load will read its weights from. Also cold if the files can't be checked in time.
  LoadSource load_source(const Load& load);

  void read_ahead(ResidentId resident);
  void cancel_read_ahead(ResidentId resident) { read_ahead_.cancel(resident.value); }

  // Records the large files that the application has open until the load ends: the next load will read them.
  boost::asio::awaitable<void> track_open_files(ResidentId resident);

 private:
  // The returned function is called off the strand; it does not refer to this object.
  std::function<std::vector<std::string>()> files_lookup(ResidentId resident) const;
  config::ConsumerSnapshot config_of(ResidentId resident) const;

  boost::asio::io_context& io_;
  const CoreLoop& loop_;
  const config::LiveConfig& config_;
  TimedCalls& timed_calls_;
  const Bytes device_memory_;
  const PidLookup find_pid_;
  std::map<ResidentId, std::set<std::string>> opened_files_{};  // during its last load
  pagecache::ReadAheadWorker read_ahead_{};
};

}  // namespace mgpu::engine
