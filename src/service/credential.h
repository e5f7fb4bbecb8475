// The key that an application's control requests want. The configuration only says where it is kept, so that
// it shows up in no page, log or copy of the configuration.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "base/result.h"
#include "config/config.h"

namespace mgpu::service {

using Header = std::pair<std::string, std::string>;

// The header that carries it, in the manner of this kind of service; none where no key is configured. Error:
// invalid_config (the variable is not set, the file can't be read, or is empty).
Result<std::optional<Header>> read_credential(const config::ServiceConfig& config);

}  // namespace mgpu::service
