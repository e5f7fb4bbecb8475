// Whether an application says that device memory ran out: values in, a verdict out.
#pragma once

#include <string_view>

#include "config/config.h"

namespace mgpu::service {

// Of an answer to any request. Only failures count: a body that quotes its caller may say anything.
bool says_out_of_memory(config::ServiceType type, int status, std::string_view body);

// Of a text that is known to tell of a failure: the log of a process that ended, an error event.
bool log_says_out_of_memory(config::ServiceType type, std::string_view text);

}  // namespace mgpu::service
