// The limit of open files, pipes and sockets of this process.
#pragma once

#include <cstdint>

namespace mgpu::runner {

// Raises the soft limit to the hard one and returns the limit now in effect. Processes that spawn() starts
// get the old soft limit: programs that use select(), or close every possible descriptor, rely on it.
std::uint64_t raise_descriptor_limit();

// Restores the old soft limit in a child, between fork and exec. Async-signal-safe.
void restore_descriptor_limit();

}  // namespace mgpu::runner
