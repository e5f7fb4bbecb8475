// Files that a configuration names and that are not there: said at the start, not when the first request
// waits.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

struct MissingFile {
  std::string key{};  // of runner.process
  std::string message{};
};

// Looks at the file system, with the daemon's own eyes: its user, its PATH, its working directory.
std::vector<MissingFile> missing_files(const ProcessConfig& process);

}  // namespace mgpu::config
