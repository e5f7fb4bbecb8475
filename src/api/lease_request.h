// The body of POST /v1/leases.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu::api {

struct LeaseRequest {
  std::string consumer{};  // empty: a bare reservation of `bytes`
  std::string ai_model{};
  std::string device{};  // empty: the first
  Bytes bytes{};
  Duration wait_limit{0};         // 0: the configuration's
  std::optional<Duration> ttl{};  // none: the configuration's
  bool bound_to_connection = false;
  std::optional<int> pid{};
  std::string who{};
  std::optional<Priority> priority{};  // none: the consumer's
  std::string user{};                  // counts before the principal's; empty: the principal's
  Duration deadline{0};                // 0: none
};

// Error: invalid_request, naming the key that is wrong or the keys that are known.
Result<LeaseRequest> parse_lease_request(std::string_view body);

}  // namespace mgpu::api
