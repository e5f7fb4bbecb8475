#include "store/epoch.h"

#include <algorithm>

namespace mgpu::store {

Epoch epoch_by_clock(std::chrono::system_clock::time_point now) {
  using std::chrono::milliseconds;
  constexpr milliseconds kPeriod = std::chrono::minutes(10);
  constexpr std::chrono::sys_days kFirstDay = std::chrono::year(2026) / 1 / 1;
  constexpr std::uint64_t kTicketsPerMillisecond = 1'000;
  const auto elapsed = std::max(std::chrono::floor<milliseconds>(now - kFirstDay), milliseconds(0));
  return {
      .number = static_cast<std::uint64_t>(elapsed / kPeriod),
      .skipped_tickets = static_cast<std::uint64_t>((elapsed % kPeriod).count()) * kTicketsPerMillisecond};
}

}  // namespace mgpu::store
