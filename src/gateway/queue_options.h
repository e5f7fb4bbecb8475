// Queue options: what a request's headers define about its place in the queue.
//
//   X-Mgpu-Priority: interactive     realtime, interactive, normal or batch; default: the consumer's
//   X-Mgpu-Wait-Limit: 30s           the request is refused after waiting this long
//   X-Mgpu-Deadline: 10s             the request is refused if it can't start by then
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "base/time.h"
#include "domain/consumer.h"
#include "domain/principal.h"
#include "http/message.h"

namespace mgpu::gateway {

struct QueueOptions {
  Principal principal{};
  std::string requested_by{};  // for display: "POST /v1/chat/completions from 127.0.0.1"
  std::optional<Priority> priority{};
  Duration wait_limit{0};
  Duration deadline{0};
  bool is_load = false;  // it only loads: not counted as a job
};

// All members but `principal`, `requested_by` and `is_load`. Error: invalid_request, naming the header.
Result<QueueOptions> parse_queue_options(const http::Headers& headers);

// Whether a header is for the daemon and not for the service.
bool is_mgpu_header(std::string_view name);

}  // namespace mgpu::gateway
