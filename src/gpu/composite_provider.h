// Combines several providers, for machines with both NVIDIA and AMD devices.
#pragma once

#include <memory>
#include <vector>

#include "gpu/provider.h"

namespace mgpu::gpu {

// The devices of all providers in one list. The first provider's indices stay; those of the next continue
// after its last index. REQUIRES: at least one provider.
std::unique_ptr<Provider> combine_providers(std::vector<std::unique_ptr<Provider>> providers);

}  // namespace mgpu::gpu
