// A consumer: a configured application that may use a device. Only what the core's decisions depend on; its
// service and its runner are in config/config.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"

namespace mgpu {

// Indices into Registry::devices, Registry::consumers and Registry::residents; assigned in ascending order,
// never reused.
using DeviceId = Id<struct DeviceTag>;
using ConsumerId = Id<struct ConsumerTag>;
using ResidentId = Id<struct ResidentTag>;

enum class ConsumerKind : std::uint8_t { llm, stt, tts, embedding, rerank, image, video, batch, other };

// The ways to free a resident's memory, the least disruptive first. The configuration says which of them a
// consumer has.
enum class Rung : std::uint8_t {
  park,     // the service moves the resident into host memory
  service,  // the service unloads the resident; its process stays
  stop,     // the process is asked to end, and with it all residents of the consumer
  kill,     // the process group is killed, and with it all residents of the consumer
};

// Classes of work, the most urgent first. A less urgent class delays a ticket's place in the line by
// SchedulingLimits::ageing for each class (sched/line_order.h).
enum class Priority : std::uint8_t { realtime, interactive, normal, batch };

// How a declared footprint is used once the resident has been measured: replaced, as a minimum, as a maximum.
enum class FootprintDeclaration : std::uint8_t { guess, at_least, at_most };

struct Consumer {
  std::string name{};
  ConsumerKind kind = ConsumerKind::other;
  DeviceId device{};                // its current device; if split, the first of `devices`
  std::vector<DeviceId> devices{};  // candidates for placement while it holds nothing; empty: only `device`
  std::vector<std::uint32_t> split{};  // not empty: on all `devices` at once, memory in these shares
  Bytes footprint{};                   // default of its residents
  Bytes working{};                     // what one running job adds
  Bytes residue{};                     // what its process keeps after the service unloaded (a CUDA context)
  FootprintDeclaration footprint_declaration = FootprintDeclaration::guess;
  std::uint32_t concurrency = 1;         // simultaneous leases within its turn; at least 1
  Priority priority = Priority::normal;  // of tickets that name none
  std::uint32_t weight = 1;              // the wait of its tickets counts this many times
  std::uint32_t max_queue = 0;           // limit of its waiting tickets; 0: only the device's limit
  Duration max_turn{0};   // after this long in a row its next ticket is not preferred any more; 0: no limit
  bool reserved = false;  // evicted last, and loaded again as soon as there is room
  std::vector<ConsumerId> followed_by{};  // configured: consumers that usually work next
  bool lease_only = false;  // without service and process: a lease itself reserves footprint + working
  bool exclusive = false;   // no other consumer has a turn on its devices at the same time
  bool turnless = false;    // needs memory, but no turn
  bool pinned = false;      // never evicted, except for a yield_to program or an operator
  bool can_park = false;    // Rung::park is available
  bool can_unload = false;  // Rung::service is available
  bool can_stop = false;    // Rung::stop and Rung::kill are available
  Duration idle_unload{0};  // evict after this long without a lease; 0 = never
  // Bound of a KeepAliveSet; 0 = none.
  Duration max_keep_alive{0};
  Duration load_limit{60'000'000};  // a load that takes longer has failed
  Duration stop_limit{10'000'000};  // for each rung: time to answer, then time until readings show it free
};

}  // namespace mgpu
