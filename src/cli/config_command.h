// `mgpu config ...`. Each command returns an exit code.
#pragma once

#include <string>

#include "base/result.h"
#include "cli/options.h"

namespace mgpu::cli {

// `given` unless empty, else the first that exists of ./mgpu.yaml and /etc/mgpu/mgpu.yaml. Error:
// invalid_config.
Result<std::string> find_config_path(const std::string& given);

int check_config(const Options& options);
int print_config(const Options& options);
int print_schema(const Options& options);
int print_reference(const Options& options);

}  // namespace mgpu::cli
