// The weights on their way from the disk: where a load will find them, which files they are, and reading them
// ahead for whoever comes next.
#include <algorithm>
#include <functional>
#include <iterator>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "config/services.h"
#include "engine/engine_impl.h"
#include "engine/weights.h"

#include "pagecache/cached_fraction.h"
#include "pagecache/open_files.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// What is missing then, the disk gives soon enough.
constexpr double kCachedThreshold = 0.8;
// Files are open for moments only, while an application loads.
constexpr Duration kOpenFilesPollInterval{300'000};
// Of one resident; the rest is not read ahead.
constexpr std::size_t kMaxTrackedFiles = 256;

}  // namespace

// As the configuration names them, or else as they were seen open during the last load, or else where its
// application keeps them. A service of several AI models has other weights for each.
std::function<std::vector<std::string>()> Engine::Impl::weights_lookup(ResidentId resident) const {
  const config::ConsumerConfig& consumer_config = consumers[world.registry[resident].consumer.value];
  if (!consumer_config.weights.empty() && !has_several_ai_models(consumer_config.service))
    return [named = consumer_config.weights] { return pagecache::list_weight_files(named); };
  if (const auto seen = opened_weights.find(resident); seen != opened_weights.end())
    return [files = std::vector<std::string>(seen->second.begin(), seen->second.end())] {
      return pagecache::list_weight_files(files);
    };
  return
      [consumer_config, ai_model = world.registry[resident].ai_model, memory = total_device_memory(devices)] {
        return pagecache::list_weight_files(engine::find_weights(consumer_config, ai_model, memory).files);
      };
}

LoadSource Engine::Impl::load_source(const Load& load) {
  if (load.from_parked) return LoadSource::parked;
  const std::function<double()> cached = [files = weights_lookup(load.resident)] {
    return pagecache::cached_fraction(files()).value_or(0);
  };
  const std::string& consumer = consumers[world.registry[load.resident].consumer.value].name;
  const auto part = timed_calls.call("weights of " + consumer, kWeightsLookupTimeout, cached);
  return part.value_or(0) >= kCachedThreshold ? LoadSource::cached : LoadSource::cold;
}

void Engine::Impl::execute_read_ahead(const ReadAhead& wanted) {
  const Bytes limit = config.limits.prefetch_memory ? *config.limits.prefetch_memory
                                                    : pagecache::quarter_of_available_memory();
  const std::string& consumer = consumers[world.registry[wanted.resident].consumer.value].name;
  auto files =
      timed_calls.call("weights of " + consumer, kWeightsLookupTimeout, weights_lookup(wanted.resident));
  if (files) read_ahead.read(wanted.resident.value, std::move(*files), limit);
}

// Looks now and then which large files the application has open, until the load is over and once after: what
// it maps stays, what it reads is closed again.
asio::awaitable<void> Engine::Impl::track_open_weights(ResidentId resident) {
  const auto self = shared_from_this();
  asio::steady_timer pause(io);
  std::set<std::string> seen;
  for (bool loading = true; loading && !closed;) {
    pause.expires_after(kOpenFilesPollInterval);
    co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    loading = world.registry[resident].state == Residency::loading;
    const std::optional<int> pid = application_of(resident).identity().pid;
    if (!pid) continue;
    const std::function<std::set<std::string>()> list_open_files = [pid = *pid] {
      return pagecache::find_large_open_files(pid);
    };
    auto found = timed_calls.call("files of " + std::to_string(*pid), kOpenFilesTimeout, list_open_files);
    if (found) seen.merge(std::move(*found));
    while (seen.size() > kMaxTrackedFiles) seen.erase(std::prev(seen.end()));
  }
  if (!seen.empty()) opened_weights[resident] = std::move(seen);
}

}  // namespace mgpu::engine
