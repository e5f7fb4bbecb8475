// How many files, pipes and sockets this process may have open.
#pragma once

#include <cstdint>

namespace mgpu::runner {

// Raises the soft limit to the hard one, and returns the limit that holds from now on. Processes that spawn()
// starts get the old soft limit back: programs that use select(), or close all that could be open, count on
// it.
std::uint64_t raise_descriptor_limit();

// In a child, between fork and exec: what was raised is as it was. Async-signal-safe.
void restore_descriptor_limit();

}  // namespace mgpu::runner
