// Programs and folders that a configuration names but that do not exist. Reported at start-up; otherwise the
// first request would wait for a load that must fail.
#pragma once

#include <string>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

struct MissingFile {
  std::string key{};  // relative to runner.process
  std::string message{};
};

// A consumer's api_key_file. Empty: it is there, or none is named.
std::string missing_key_file(const ServiceConfig& service);

// Looks at the file system with the user, PATH and working directory of this process.
std::vector<MissingFile> missing_files(const ProcessConfig& process);

}  // namespace mgpu::config
