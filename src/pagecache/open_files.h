// Finds the large files that a running application has open or mapped, which are usually its weights.
#pragma once

#include <set>
#include <string>

namespace mgpu::pagecache {

// Files of at least kLargeFileBytes that the process or its descendants have mapped or open for reading only.
// A process that can't be inspected contributes none.
std::set<std::string> find_large_open_files(int pid);

}  // namespace mgpu::pagecache
