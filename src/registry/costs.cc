#include "registry/costs.h"

namespace mgpu {
namespace {

// Bytes a second, and what a process takes to start whatever it weighs.
constexpr std::int64_t kDisk = 1 * kGiB.count, kPageCache = 4 * kGiB.count, kHostMemory = 10 * kGiB.count;
constexpr Duration kStart{1'000'000};
constexpr Duration kWake{100'000};
constexpr Duration kUnload{500'000};

Duration transfer(Bytes bytes, std::int64_t bytes_a_second) {
  return Duration{static_cast<std::int64_t>(static_cast<double>(bytes.count) * 1e6 /
                                            static_cast<double>(bytes_a_second))};
}

bool known(Duration learned) { return learned > Duration{0}; }

}  // namespace

Duration load_time(const Resident& resident, LoadSource source) {
  const LearnedCosts& learned = resident.costs;
  switch (source) {
    case LoadSource::parked:
      return known(learned.load_parked) ? learned.load_parked
                                        : kWake + transfer(resident.footprint, kHostMemory);
    case LoadSource::cached:
      if (known(learned.load_cached)) return learned.load_cached;
      if (known(learned.load_cold)) return learned.load_cold;
      return kStart + transfer(resident.footprint, kPageCache);
    case LoadSource::cold:
      break;
  }
  if (known(learned.load_cold)) return learned.load_cold;
  return known(learned.load_cached) ? learned.load_cached : kStart + transfer(resident.footprint, kDisk);
}

Duration load_time(const Resident& resident) {
  return load_time(resident, resident.state == Residency::parked ? LoadSource::parked : LoadSource::cached);
}

Duration unload_time(const Resident& resident) {
  return known(resident.costs.unload) ? resident.costs.unload : kUnload;
}

Duration run_time(const Resident& resident, Duration fallback) {
  return known(resident.costs.run) ? resident.costs.run : fallback;
}

}  // namespace mgpu
