// The key for an application's control routes. The configuration only says where the key is kept, so that it
// appears in no page, log or copy of the configuration.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "config/config.h"

namespace mgpu::service {

using Header = std::pair<std::string, std::string>;

// The header with the key in the format of this kind of service; null where no key is configured. Error:
// invalid_config (the variable is not set, the file can't be read or is empty).
Result<std::optional<Header>> read_credential(const config::ServiceConfig& config);

}  // namespace mgpu::service
