#include "registry/costs.h"

namespace mgpu {
namespace {

// Bytes per second.
constexpr std::int64_t kDiskRate = 1 * kGiB.count, kPageCacheRate = 4 * kGiB.count,
                       kHostMemoryRate = 10 * kGiB.count;
constexpr Duration kProcessStartTime{1'000'000};  // whatever the size of its weights
constexpr Duration kUnparkTime{100'000};
constexpr Duration kDefaultUnloadTime{500'000};

Duration transfer_time(Bytes bytes, std::int64_t bytes_per_second) {
  return Duration{static_cast<std::int64_t>(static_cast<double>(bytes.count) * 1e6 /
                                            static_cast<double>(bytes_per_second))};
}

bool is_known(Duration learned) { return learned > Duration{0}; }

}  // namespace

Duration load_time(const Resident& resident, LoadSource source) {
  const LearnedCosts& learned = resident.costs;
  switch (source) {
    case LoadSource::parked:
      return is_known(learned.load_parked) ? learned.load_parked
                                           : kUnparkTime + transfer_time(resident.footprint, kHostMemoryRate);
    case LoadSource::cached:
      if (is_known(learned.load_cached)) return learned.load_cached;
      if (is_known(learned.load_cold)) return learned.load_cold;
      return kProcessStartTime + transfer_time(resident.footprint, kPageCacheRate);
    case LoadSource::cold:
      break;
  }
  if (is_known(learned.load_cold)) return learned.load_cold;
  return is_known(learned.load_cached) ? learned.load_cached
                                       : kProcessStartTime + transfer_time(resident.footprint, kDiskRate);
}

Duration load_time(const Resident& resident) {
  return load_time(resident, resident.state == Residency::parked ? LoadSource::parked : LoadSource::cached);
}

Duration unload_time(const Resident& resident) {
  return is_known(resident.costs.unload) ? resident.costs.unload : kDefaultUnloadTime;
}

Duration run_time(const Resident& resident, Duration fallback) {
  return is_known(resident.costs.run) ? resident.costs.run : fallback;
}

}  // namespace mgpu
