#include "engine/weights_cache.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/services.h"
#include "engine/weights.h"

#include "pagecache/cached_fraction.h"
#include "pagecache/open_files.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// From this fraction on a load counts as cached: the missing part is read quickly enough.
constexpr double kCachedThreshold = 0.8;
constexpr Duration kOpenFilesTimeout = std::chrono::milliseconds(100);
// Applications keep files open only briefly while they load.
constexpr Duration kOpenFilesPollInterval{300'000};
// Per resident; further files are not read ahead.
constexpr std::size_t kMaxTrackedFiles = 256;

}  // namespace

WeightsCache::WeightsCache(asio::io_context& io, const CoreLoop& loop, const config::LiveConfig& config,
                           TimedCalls& timed_calls, Bytes device_memory, PidLookup find_pid)
    : io_(io),
      loop_(loop),
      config_(config),
      timed_calls_(timed_calls),
      device_memory_(device_memory),
      find_pid_(std::move(find_pid)) {}

config::ConsumerSnapshot WeightsCache::config_of(ResidentId resident) const {
  return config_.consumer(loop_.world().registry[resident].consumer);
}

// The files from the configuration, else those seen open during the last load, else those in the
// application's storage. A service with several AI models has other weights for each.
std::function<std::vector<std::string>()> WeightsCache::files_lookup(ResidentId resident) const {
  const config::ConsumerSnapshot config = config_of(resident);
  if (!config->weights.empty() && !has_several_ai_models(config->service))
    return [config] { return pagecache::list_weight_files(config->weights); };
  if (const auto seen = opened_files_.find(resident); seen != opened_files_.end())
    return [files = std::vector<std::string>(seen->second.begin(), seen->second.end())] {
      return pagecache::list_weight_files(files);
    };
  return [config, ai_model = loop_.world().registry[resident].ai_model, memory = device_memory_] {
    return pagecache::list_weight_files(find_weights(*config, ai_model, memory).files);
  };
}

LoadSource WeightsCache::load_source(const Load& load) {
  if (load.from_parked) return LoadSource::parked;
  const std::function<double()> cached = [files = files_lookup(load.resident)] {
    return pagecache::cached_fraction(files()).value_or(0);
  };
  const auto part =
      timed_calls_.call("weights of " + config_of(load.resident)->name, kWeightsLookupTimeout, cached);
  return part.value_or(0) >= kCachedThreshold ? LoadSource::cached : LoadSource::cold;
}

void WeightsCache::read_ahead(ResidentId resident) {
  const std::optional<Bytes> configured = config_.snapshot()->limits.prefetch_memory;
  const Bytes limit = configured ? *configured : pagecache::quarter_of_available_memory();
  auto files = timed_calls_.call("weights of " + config_of(resident)->name, kWeightsLookupTimeout,
                                 files_lookup(resident));
  if (files) read_ahead_.read(resident.value, std::move(*files), limit);
}

// Checks once more after the load has ended: mapped files stay open, files that are read are closed.
asio::awaitable<void> WeightsCache::track_open_files(ResidentId resident) {
  asio::steady_timer pause(io_);
  std::set<std::string> seen;
  for (bool loading = true; loading && !loop_.is_closed();) {
    pause.expires_after(kOpenFilesPollInterval);
    co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    const Resident& state = loop_.world().registry[resident];
    loading = state.state == Residency::loading;
    const std::optional<int> pid = find_pid_(state.consumer);
    if (!pid) continue;
    const std::function<std::set<std::string>()> list_open_files = [pid = *pid] {
      return pagecache::find_large_open_files(pid);
    };
    auto found = timed_calls_.call("files of " + std::to_string(*pid), kOpenFilesTimeout, list_open_files);
    if (found) seen.merge(std::move(*found));
    while (seen.size() > kMaxTrackedFiles) seen.erase(std::prev(seen.end()));
  }
  if (!seen.empty()) opened_files_[resident] = std::move(seen);
}

}  // namespace mgpu::engine
