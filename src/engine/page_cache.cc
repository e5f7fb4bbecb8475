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
#include "engine/impl.h"
#include "engine/weights.h"

#include "pagecache/cached_fraction.h"
#include "pagecache/open_files.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// What is missing then, the disk gives soon enough.
constexpr double kMostlyCached = 0.8;
// Files are open for moments only, while an application loads.
constexpr Duration kLookAtFiles{300'000};
// Of one resident; the rest is not read ahead.
constexpr std::size_t kMostFiles = 256;

}  // namespace

// As the configuration names them, or else as they were seen open during the last load, or else where its
// application keeps them. A service of several AI models has other weights for each.
std::function<std::vector<std::string>()> Engine::Impl::weights_of(ResidentId resident) const {
  const config::ConsumerConfig& description = consumers[world.registry[resident].consumer.value];
  if (!description.weights.empty() && !has_several_ai_models(description.service))
    return [named = description.weights] { return pagecache::list_weight_files(named); };
  if (const auto seen = seen_weights.find(resident); seen != seen_weights.end())
    return [files = std::vector<std::string>(seen->second.begin(), seen->second.end())] {
      return pagecache::list_weight_files(files);
    };
  return [description, ai_model = world.registry[resident].ai_model, memory = memory_of_all(devices)] {
    return pagecache::list_weight_files(engine::weights_of(description, ai_model, memory).files);
  };
}

LoadSource Engine::Impl::source_of(const Load& load) {
  if (load.from_parked) return LoadSource::parked;
  const std::function<double()> cached = [files = weights_of(load.resident)] {
    return pagecache::cached_fraction(files()).value_or(0);
  };
  const std::string& consumer = consumers[world.registry[load.resident].consumer.value].name;
  const auto part = timed_calls.call("weights of " + consumer, kLookAtWeights, cached);
  return part.value_or(0) >= kMostlyCached ? LoadSource::cached : LoadSource::cold;
}

void Engine::Impl::obey_read_ahead(const ReadAhead& wanted) {
  const Bytes limit = config.limits.prefetch_memory ? *config.limits.prefetch_memory
                                                    : pagecache::quarter_of_available_memory();
  const std::string& consumer = consumers[world.registry[wanted.resident].consumer.value].name;
  auto files = timed_calls.call("weights of " + consumer, kLookAtWeights, weights_of(wanted.resident));
  if (files) reading_ahead.read(wanted.resident.value, std::move(*files), limit);
}

// Looks now and then which large files the application has open, until the load is over and once after: what
// it maps stays, what it reads is closed again.
asio::awaitable<void> Engine::Impl::watch_weights(ResidentId resident) {
  const auto self = shared_from_this();
  asio::steady_timer pause(io);
  std::set<std::string> seen;
  for (bool loading = true; loading && !closed;) {
    pause.expires_after(kLookAtFiles);
    co_await pause.async_wait(asio::as_tuple(asio::use_awaitable));
    loading = world.registry[resident].state == Residency::loading;
    const std::optional<int> pid = application_of(resident).identity().pid;
    if (!pid) continue;
    const std::function<std::set<std::string>()> look = [pid = *pid] {
      return pagecache::find_large_open_files(pid);
    };
    auto found = timed_calls.call("files of " + std::to_string(*pid), kLookAtOpenFiles, look);
    if (found) seen.merge(std::move(*found));
    while (seen.size() > kMostFiles) seen.erase(std::prev(seen.end()));
  }
  if (!seen.empty()) seen_weights[resident] = std::move(seen);
}

}  // namespace mgpu::engine
