// Calls `step` and checks the invariants, independently of the core's own assertions.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>

#include "sched/world.h"

namespace mgpu::sim {

class InvariantChecker {
 public:
  // Returns a description of the violated invariant, or an empty string.
  std::string step_and_check(World& world, const Event& event);
  const Effects& effects() const { return effects_; }  // of the last step

  // A hash of all effects so far: equal sequences of events must give equal hashes.
  std::uint64_t fingerprint() const { return fingerprint_; }

 private:
  std::string check_memory(const World& world) const;
  std::string check_ticket_ends(const World& world);
  std::string check_order(const World& world) const;

  void record_waiting_tickets(const World& world);

  // A ticket that waited for a turn before the step.
  struct WaitingTicket {
    Instant overtake_until{};
    bool has_claim = false;
    std::optional<ConsumerId> consumer{};
    std::uint64_t class_and_user = 0;
  };
  std::map<TicketId, WaitingTicket> waiting_before_;
  Effects effects_;
  std::set<TicketId> open_tickets_;
  std::set<TicketId> ended_tickets_;
  std::uint64_t fingerprint_ = 1469598103934665603ULL;
};

}  // namespace mgpu::sim
