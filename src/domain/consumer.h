// Who may use a device: a consumer as it is configured, in values that the core can decide with. How its
// service is spoken to and its process started is none of the core's business (see config/config.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/id.h"
#include "base/time.h"

namespace mgpu {

// Indices into World::devices, World::consumers and World::residents; given out in order, never reused.
using DeviceId = Id<struct DeviceTag>;
using ConsumerId = Id<struct ConsumerTag>;
using ResidentId = Id<struct ResidentTag>;

enum class ConsumerKind : std::uint8_t { llm, stt, tts, embedding, rerank, image, video, batch, other };

// The ways to take a resident's memory back, gentlest first. Which of them a consumer has is configured.
enum class Rung : std::uint8_t {
  park,     // the service moves it into host memory
  service,  // the service unloads it and lives on
  stop,     // the process is asked to end (takes all residents of the consumer along)
  kill,     // the whole process group is killed (likewise)
};

// Classes of work, the most urgent first. A class orders before arrival; waiting ages a ticket upward.
enum class Priority : std::uint8_t { realtime, interactive, normal, batch };

// What a declared footprint means once the resident was seen: a first guess, a floor, or a ceiling.
enum class FootprintDeclaration : std::uint8_t { guess, at_least, at_most };

struct Consumer {
  std::string name{};
  ConsumerKind kind = ConsumerKind::other;
  DeviceId device{};                   // the device it is on; of several, the first
  std::vector<DeviceId> devices{};     // where it may be placed while it holds nothing; empty: only `device`
  std::vector<std::uint32_t> split{};  // not one of `devices` but all at once: how its memory is shared out
  Bytes footprint{};                   // of a resident, unless the resident says otherwise
  Bytes working{};                     // what one running job adds
  Bytes residue{};  // what a living process keeps after the service unloaded (a CUDA context)
  FootprintDeclaration footprint_declaration = FootprintDeclaration::guess;
  std::uint32_t concurrency = 1;         // leases at once within its turn; at least 1
  Priority priority = Priority::normal;  // of a ticket that names none
  std::uint32_t weight = 1;              // a second that its tickets wait counts as this many against others
  std::uint32_t max_queue = 0;           // its own waiting tickets; 0: only the device's limit
  Duration max_turn{0};   // after this long its next ticket queues like everybody's; 0: no bound
  bool reserved = false;  // the last to be evicted, and back as soon as there is room
  std::vector<ConsumerId> followed_by{};  // who usually comes next, as the user states it
  bool lease_only = false;  // neither service nor process: a lease reserves footprint + working by itself
  bool exclusive = false;   // nobody else has a turn on its devices while it has one
  bool turnless = false;    // needs memory, but no turn
  bool pinned = false;      // never evicted by us
  bool can_park = false;    // rungs that this consumer has
  bool can_unload = false;  // Rung::service
  bool can_stop = false;    // Rung::stop and Rung::kill
  Duration idle_unload{0};  // evict after this long without a lease; 0 = never
  Duration load_limit{60'000'000};  // a load that takes longer has failed
  Duration stop_limit{10'000'000};  // for each rung: to answer, and then to show the memory free
};

}  // namespace mgpu
