// YAML's merge key: `<<: *common`, `<<: [*first, *second]`.
#pragma once

#include <vector>

#include "config/node.h"

namespace mgpu::config {

// Replaces each merge key below `node` by the entries of its mappings. What the mapping itself has stays; of
// several merged mappings the first that has a key wins.
void resolve_merge_keys(Node& node, std::vector<ValueError>& errors);

}  // namespace mgpu::config
