// A device and a reading of its memory.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/time.h"
#include "domain/consumer.h"

namespace mgpu {

struct Device {
  std::string name{};          // the id from the configuration: "gpu0"
  std::uint32_t capacity = 1;  // turns that may be held at the same time
  Bytes reserve{};             // never allocated to consumers
};

// What the provider measured at `taken_at`, attributed to owners: used = consumers + bare + foreign.
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
  Bytes bare{};                            // of processes that hold bare leases
  std::vector<ConsumerBytes> consumers{};  // consumers with memory; ascending by id
  bool yielded = false;                    // a program of `yield_to` runs and gets the device
  bool is_per_process = true;              // false: only the total is measured, the rest is computed from it
  bool lost = false;                       // the driver no longer answers; the other fields are invalid
};

}  // namespace mgpu
