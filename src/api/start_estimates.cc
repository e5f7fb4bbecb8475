#include "api/start_estimates.h"

#include <algorithm>
#include <utility>

#include "sched/start_estimate.h"

namespace mgpu::api {

StartTimes play_lines_through(const World& world) {
  StartTimes starts;
  for (std::size_t i = 0; i < world.lines.size(); ++i)
    for (const auto& [ticket, at] : estimated_starts(world, DeviceId{i})) {
      Instant& start = starts[ticket];  // a split ticket starts when all of its devices are ready
      start = std::max(start, at);
    }
  return starts;
}

StartEstimates::StartEstimates(const engine::Engine& engine, PlayThrough play_through, Clock now)
    : engine_(engine),
      play_through_(std::move(play_through)),
      now_(now ? std::move(now) : [&engine] { return engine.now(); }) {}

// The world changes only with an entry of the journal, so without one the result is what it would be now.
bool StartEstimates::is_current() const {
  const engine::Journal& journal = engine_.journal();
  if (journal.last_id() == as_of_entry_) return true;
  if (now_() - played_at_ >= kMaxEstimateAge) return false;
  const bool is_long = engine_.world().tickets.size() > kLongLine;
  return is_long || journal.last_significant_id() <= as_of_entry_;
}

const StartTimes& StartEstimates::all_starts() {
  if (is_current()) return starts_;
  starts_ = play_through_(engine_.world());
  as_of_entry_ = engine_.journal().last_id();
  played_at_ = now_();
  return starts_;
}

std::optional<Instant> StartEstimates::start_of(TicketId ticket) {
  const StartTimes& starts = all_starts();
  const auto found = starts.find(ticket);
  return found == starts.end() ? std::nullopt : std::optional(found->second);
}

}  // namespace mgpu::api
