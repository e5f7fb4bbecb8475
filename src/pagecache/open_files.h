// Which large files a running application has open or mapped: the weights, as a rule, and what it loads with
// them.
#pragma once

#include <set>
#include <string>

namespace mgpu::pagecache {

// Those of the process and its descendants, of at least kLargeFileBytes bytes; what they write to is left
// out. A process that we may not look into has none.
std::set<std::string> find_large_open_files(int pid);

}  // namespace mgpu::pagecache
