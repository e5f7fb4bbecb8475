// The epoch of a start of the daemon: what makes the numbers of its tickets unlike those of every other
// start. Pure.
#pragma once

#include <chrono>
#include <cstdint>

namespace mgpu::store {

struct Epoch {
  std::uint64_t number = 0;
  // Tickets of the epoch that are left out at its beginning: several starts may share an epoch by the clock.
  std::uint64_t skipped_tickets = 0;
};

// For a daemon that has no store to count its starts in. The epoch is the number of ten-minute periods since
// 2026-01-01 UTC, tens of thousands above what a store counts; the skipped tickets are a thousand for each
// millisecond of the period. Two starts share no numbers as long as the first one handed out fewer than a
// million tickets a second, and the clock was not set back.
Epoch epoch_by_clock(std::chrono::system_clock::time_point now);

}  // namespace mgpu::store
