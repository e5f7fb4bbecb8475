// The outcome of a replay, job by job. Summaries and diagrams are made from it.
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
  Instant started{};  // granted
  Instant ended{};
  Duration work{};                    // run time if it runs alone
  bool refused = false;               // it did not start; `ended` is the time of the refusal
  std::uint32_t times_overtaken = 0;  // starts of later arrivals in its line while it waited
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
  std::vector<Job> jobs{};            // in order of arrival
  std::vector<ActivitySpan> spans{};  // in order of end
  Instant end{};                      // of the replay
  std::uint64_t events = 0;           // passed to the core
  std::uint64_t loaded_in_vain = 0;
  Duration max_overtake_bound{};  // the longest overtake bound of a ticket
  Duration max_bound_excess{};    // the longest time by which an overtaking came after its bound; 0: none did
  std::string first_refusal{};    // error detail of the first refused ticket
};

}  // namespace mgpu::replay
