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

enum class Kind : std::uint8_t { llm, stt, tts, embedding, rerank, image, video, batch, other };

// The ways to take a resident's memory back, gentlest first. Which of them a consumer has is configured.
enum class Rung : std::uint8_t {
  park,     // the service moves it into host memory
  service,  // the service unloads it and lives on
  stop,     // the process is asked to end (takes all residents of the consumer along)
  kill,     // the whole process group is killed (likewise)
};

struct Consumer {
  std::string name{};
  Kind kind = Kind::other;
  DeviceId device{};              // the device it is bound to
  Bytes footprint{};              // of a resident, unless the resident says otherwise
  Bytes working{};                // what one running job adds
  Bytes residue{};                // what a living process keeps after the service unloaded (a CUDA context)
  std::uint32_t concurrency = 1;  // leases at once within its turn; at least 1
  bool lease_only = false;  // neither service nor process: a lease reserves footprint + working by itself
  bool exclusive = false;   // no other lease on its device while it has one
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
