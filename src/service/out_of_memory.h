// Whether an application's answer or log says that device memory ran out. Pure functions.
#pragma once

#include <string_view>

#include "config/config.h"

namespace mgpu::service {

// Of an answer to any request. Only failures count: the body of another answer may quote its caller.
bool says_out_of_memory(config::ServiceType type, int status, std::string_view body);

// Of a text that is known to report a failure: the log of a process that ended, an error event.
bool log_says_out_of_memory(config::ServiceType type, std::string_view text);

}  // namespace mgpu::service
