// The referee: steps a world and checks, independently of the core's own assertions, that no promise was
// broken.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "sched/world.h"

namespace mgpu::sim {

class Referee {
 public:
  // Steps the world and returns the broken promise in words, or empty. `effects` are those of the last step.
  std::string judged_step(World& world, const Event& event);
  const Effects& effects() const { return effects_; }

  // A fingerprint of all effects so far: equal event sequences must give equal ones.
  std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  std::string memory_is_respected(const World& world) const;
  std::string ends_once(const World& world);
  std::string in_order(const World& world) const;

  void remember_the_line(const World& world);

  // A ticket that waited for a turn before the step.
  struct Waited {
    Instant until{};  // may be overtaken before then
    bool claims = false;
    std::optional<ConsumerId> consumer{};
    std::uint64_t kind = 0;  // class and user
  };
  std::map<TicketId, Waited> waited_;
  Effects effects_;
  std::set<TicketId> arrived_;  // and not yet ended
  std::set<TicketId> ended_;
  std::uint64_t fingerprint_ = 1469598103934665603ULL;
};

}  // namespace mgpu::sim
