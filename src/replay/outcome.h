// What became of a workload, job by job: the raw record from which summaries and pictures are made.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/resident.h"
#include "domain/ticket.h"

namespace mgpu::replay {

struct Job {
  ConsumerId consumer{};
  std::uint32_t user = 0;
  Instant arrived{};
  Instant started{};  // it was granted
  Instant ended{};
  Duration work{};                    // what it would have taken alone
  bool refused = false;               // it never started; `ended` is when it was told
  std::uint32_t times_overtaken = 0;  // starts of later arrivals on its device while it waited
  std::optional<Instant> first_overtaken{};
  Instant last_overtaken{};
};

enum class Activity : std::uint8_t { run, load, evict };

struct ActivitySpan {
  Activity activity{};
  ConsumerId consumer{};
  DeviceId device{};
  Instant from{};
  Instant to{};
  LoadSource source = LoadSource::cold;  // of a load
};

struct Outcome {
  std::vector<Job> jobs{};            // in the order of their arrival
  std::vector<ActivitySpan> spans{};  // in the order of their end
  Instant end{};                      // of the last thing that happened
  std::uint64_t events = 0;           // that the core was told
  std::uint64_t loaded_in_vain = 0;
  Duration max_overtake_bound{};  // how long a ticket might be overtaken at most, as the policy set it
  Duration max_bound_excess{};    // by how much an overtaking came after it; 0: never
  std::string first_refusal{};    // why the first that was refused was
};

}  // namespace mgpu::replay
