#include "api/status_cache.h"

#include <algorithm>
#include <utility>

namespace mgpu::api {

StatusCache::StatusCache(const engine::Engine& engine, StartEstimates& estimates, DaemonFacts daemon,
                         Clock now)
    : engine_(engine),
      estimates_(estimates),
      daemon_(std::move(daemon)),
      now_(now ? std::move(now) : [&engine] { return engine.now(); }) {}

// The configuration may be replaced while the daemon runs.
Duration StatusCache::max_age() const { return std::min(engine_.config()->gpu.sample_busy, kMaxStatusAge); }

void StatusCache::drop_outdated() {
  const std::uint64_t last_significant = engine_.journal().last_significant_id();
  const Instant now = now_();
  if (last_significant == as_of_entry_ && now - taken_at_ < max_age()) return;
  as_of_entry_ = last_significant;
  taken_at_ = now;
  for (std::string* text : {&status_, &line_, &consumers_}) text->clear();
}

const std::string& StatusCache::status() {
  drop_outdated();
  if (status_.empty()) status_ = json_body(status_json(engine_, estimates_.all_starts(), daemon_));
  return status_;
}

const std::string& StatusCache::line() {
  drop_outdated();
  if (line_.empty()) line_ = json_body({{"line", line_json(engine_, estimates_.all_starts())}});
  return line_;
}

const std::string& StatusCache::consumers() {
  drop_outdated();
  if (consumers_.empty()) consumers_ = json_body({{"consumers", consumers_json(engine_)}});
  return consumers_;
}

}  // namespace mgpu::api
