// Expected durations of loads, unloads and jobs: learned ones where there are any, otherwise guesses from the
// footprint. The guesses assume a slow solid state disk and slow PCIe; the first load replaces them.
#pragma once

#include "registry/registry.h"

namespace mgpu {

Duration load_time(const Resident& resident, LoadSource source);

// The load time in its current state: from host memory if parked, otherwise from the page cache.
Duration load_time(const Resident& resident);

// Until its memory is free again.
Duration unload_time(const Resident& resident);

// Expected duration of a job if none was observed.
inline constexpr Duration kDefaultRunTime{1'000'000};

// Expected duration of one job; `fallback` if none was observed.
Duration run_time(const Resident& resident, Duration fallback);

}  // namespace mgpu
