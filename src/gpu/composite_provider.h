// Several providers as one: an NVIDIA device and an AMD one in the same machine.
#pragma once

#include <memory>
#include <vector>

#include "gpu/provider.h"

namespace mgpu::gpu {

// The devices of all in one list. Those of the first keep their numbers, the next ones' are counted on from
// there. REQUIRES: at least one provider.
std::unique_ptr<Provider> combine_providers(std::vector<std::unique_ptr<Provider>> providers);

}  // namespace mgpu::gpu
