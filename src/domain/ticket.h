// A ticket waits in a line; once granted it is a lease. Its id stays the same.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

using TicketId = Id<struct TicketTag>;  // assigned by the shell, ascending from 1

// What a ticket requests: a turn for a consumer with one of its residents warm, or, without a consumer
// (bare), a turn and a reservation of bytes on a device.
struct TicketRequest {
  DeviceId device{};                     // bare: where. Otherwise the core sets it on admission
  std::optional<ConsumerId> consumer{};  // none = bare
  std::optional<ResidentId> resident{};  // the AI model; required unless bare or lease_only
  Bytes bytes{};                       // bare: the reservation. lease_only: likewise, 0 = footprint + working
  Duration wait_limit{0};              // 0 = SchedulingLimits::wait_limit
  bool is_warm_up = false;             // a load by an operator: not counted as a job
  std::optional<Priority> priority{};  // none: the consumer's
  std::uint32_t user = 0;              // for fair shares: the shell numbers user names; 0: unnamed
  Duration deadline{0};                // from arrival: refused as soon as it can't start by then; 0 = none
  bool device_requested = false;       // the consumer must be placed on `device` and nowhere else
};

}  // namespace mgpu
