// When waiting tickets are expected to start, for every reader of the lines: status, line, and the places
// that the holder of a bound lease is told.
//
// The starts come from playing the lines through (sched/start_estimate.h), which takes milliseconds where a
// line is long. So all readers share one result, and neither their number nor the events decide how often a
// long line is played through.
//
// Thread: the strand.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>

#include "engine/engine.h"

namespace mgpu::api {

using StartTimes = std::map<TicketId, Instant>;

// Of all tickets that wait or are made ready, on all devices.
StartTimes play_lines_through(const World& world);

// With more tickets than this, waiting or running, each look at the lines is expensive.
inline constexpr std::size_t kLongLine = 64;

// Where a line is long, it is played through once in this time at most.
inline constexpr Duration kMaxEstimateAge = std::chrono::milliseconds(100);

class StartEstimates {
 public:
  using PlayThrough = std::function<StartTimes(const World&)>;
  using Clock = std::function<Instant()>;

  // `engine` must outlive it. The other two are for tests; `now` is the engine's clock otherwise.
  explicit StartEstimates(const engine::Engine& engine, PlayThrough play_through = play_lines_through,
                          Clock now = {});

  // Those of this moment, with at most kLongLine tickets. With more, those of a moment that is no longer ago
  // than kMaxEstimateAge: tickets that arrived since are missing, and others may have started.
  const StartTimes& all_starts();

  // Of one ticket, from the same result. None: it does not wait (any more), its device is lost, or it has
  // only just come into a long line.
  std::optional<Instant> start_of(TicketId ticket);

 private:
  bool is_current() const;

  const engine::Engine& engine_;
  const PlayThrough play_through_;
  const Clock now_;
  StartTimes starts_{};
  std::uint64_t as_of_entry_ = 0;  // the journal's last entry when the lines were played through
  Instant played_at_{};
};

}  // namespace mgpu::api
