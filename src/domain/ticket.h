// A ticket waits; once granted it is a lease and holds. It keeps its number for life.
#pragma once

#include <cstdint>
#include <optional>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

using TicketId = Id<struct TicketTag>;  // given out by the shell, ascending from 1

// What somebody asks for: a turn for a consumer (with one of its residents warm), or, without a consumer, a
// bare reservation of bytes on a device with a turn of its own.
struct TicketRequest {
  DeviceId device{};                     // bare: where. Else the core sets it when it admits the ticket
  std::optional<ConsumerId> consumer{};  // none = bare
  std::optional<ResidentId> resident{};  // which AI model; must be set unless bare or lease_only
  Bytes bytes{};            // bare: the reservation. lease_only consumer: 0 = its footprint + working
  Duration wait_limit{0};   // 0 = World::limits.wait_limit
  bool is_warm_up = false;  // an operator's load: not counted as a job
  std::optional<Priority> priority{};  // none: the consumer's
  std::uint32_t user =
      0;                 // who asks, for fair shares: a number for each name, given by the shell; 0: unnamed
  Duration deadline{0};  // from arrival: refused as soon as it can't start by then; 0 = none
  bool device_requested = false;  // a consumer that may be placed is wanted on `device`, and nowhere else
};

// Why a ticket left the line without a lease, or a lease ended before its holder said so, is an Error
// (base/result.h).

}  // namespace mgpu
