// How urgent a request is: what its headers say about its place in the line.
//
//   X-Mgpu-Priority: interactive     realtime, interactive, normal or batch; without it: the consumer's
//   X-Mgpu-Wait-Limit: 30s           leaves the line after this long
//   X-Mgpu-Deadline: 10s             is refused if it can't start by then
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
  std::string requested_by{};  // for people: "POST /v1/chat/completions from 127.0.0.1"
  std::optional<Priority> priority{};
  Duration wait_limit{0};
  Duration deadline{0};
};

// Everything but `principal` and `requested_by`. Error: invalid_request, naming the header.
Result<QueueOptions> parse_queue_options(const http::Headers& headers);

// Whether a request's header is for us and not for the service.
bool is_mgpu_header(std::string_view name);

}  // namespace mgpu::gateway
