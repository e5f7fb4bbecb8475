// What bringing a resident back takes, in seconds: learned where it was seen, else guessed from its bytes.
// The guesses are on the slow side of a solid state disk and of PCIe; the first load replaces them.
#pragma once

#include "registry/registry.h"

namespace mgpu {

Duration load_time(const Resident& resident, LoadSource source);

// A load from where it is now: parked, or, where its weights may still be in the page cache, cached.
Duration load_time(const Resident& resident);

// Until its memory is free again.
Duration unload_time(const Resident& resident);

// Of a job about which nothing is known.
inline constexpr Duration kDefaultRunTime{1'000'000};

// Of one job; `table` where none was seen.
Duration run_time(const Resident& resident, Duration fallback);

}  // namespace mgpu
