// What a consumer holds in device memory; a service with several AI models has one resident per AI model.
#pragma once

#include <cstdint>
#include <string>

#include "base/bytes.h"
#include "base/result.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

enum class Residency : std::uint8_t { cold, loading, warm, parked, unloading, failed };

struct Resident {
  ConsumerId consumer{};
  std::string ai_model{};  // empty where the consumer has just one
  Bytes footprint{};
  Residency state = Residency::cold;
  Error last_error{};  // says why, while state is failed
  Instant retry_at{};  // failed: not before
  Instant last_used{};
  std::uint32_t failures = 0;  // loads failed in a row
  std::uint32_t users = 0;  // tickets that run on it or for which it is being made ready: no victim while > 0
  Instant stubborn_until{};  // an eviction failed and left it warm: no victim before then
};

}  // namespace mgpu
