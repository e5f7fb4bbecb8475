// The weights on their way from the disk: which files a resident is loaded from, whether the page cache has
// them, and reading them ahead. Owns the reading thread and what was seen open during loads.
//
// Thread rule: the strand; looks at files are timed calls, since a network folder may hang.
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
  // The process above all others of a consumer's application, while it runs.
  using PidLookup = std::function<std::optional<int>(ConsumerId)>;

  // `device_memory`: of all devices together. All references must outlive it.
  WeightsCache(boost::asio::io_context& io, const CoreLoop& loop, const config::LiveConfig& config,
               TimedCalls& timed_calls, Bytes device_memory, PidLookup find_pid);

  // Where a load will find its weights. cold, too, where the files can't be looked at in time.
  LoadSource load_source(const Load& load);

  void read_ahead(ResidentId resident);
  void cancel_read_ahead(ResidentId resident) { read_ahead_.cancel(resident.value); }

  // Notes which large files the application has open until the load is over: the next load will read them.
  boost::asio::awaitable<void> track_open_files(ResidentId resident);

 private:
  // To be called off the strand; refers to nothing of ours.
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
