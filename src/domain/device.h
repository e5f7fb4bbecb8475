// A device and what the provider last said about it.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

struct Device {
  std::string name{};          // the id from the configuration: "gpu0"
  std::uint32_t capacity = 1;  // consumers that hold a turn at once
  Bytes reserve{};             // never handed out
};

// What the provider saw at `taken`, with the bytes attributed. Sums: used = consumers + bare + foreign.
struct Reading {
  struct ConsumerBytes {
    ConsumerId consumer{};
    Bytes bytes{};
    friend bool operator==(const ConsumerBytes&, const ConsumerBytes&) = default;
  };
  DeviceId device{};
  Instant taken_at{};
  Bytes total{};
  Bytes foreign{};                         // of processes that belong to no consumer and no lease
  Bytes bare{};                            // of the holders of bare leases
  std::vector<ConsumerBytes> consumers{};  // those that hold anything; ascending by consumer
  bool yielded = false;                    // a foreign program runs that we leave the device to
  bool is_per_process = true;              // false: the driver tells only the total, and the rest is reckoned
  bool lost = false;                       // the driver no longer answers; the other fields mean nothing
};

}  // namespace mgpu
