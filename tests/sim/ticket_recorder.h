// Calls `step` and records what becomes of each ticket. It uses only what is visible from outside; properties
// compute bounds and places themselves instead of trusting the core's.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/world.h"

namespace mgpu::sim {

// The step number orders steps of the same time.
struct StepTime {
  std::uint64_t step = 0;
  Instant at{};
};

struct TicketRecord {
  TicketRequest request{};
  StepTime arrived{};
  std::optional<StepTime> claimed{};   // its resident is loaded ahead of its turn
  std::optional<StepTime> promised{};  // it got its turn and waits at most for memory
  std::optional<StepTime> granted{};
  std::optional<StepTime> released{};
  bool refused = false;
};

class TicketRecorder {
 public:
  Effects operator()(World& world, const Event& event);

  const std::map<TicketId, TicketRecord>& tickets() const { return tickets_; }
  const std::vector<TicketId>& grants() const { return grants_; }  // in order

 private:
  void update_waiting_tickets(const World& world, StepTime now);

  std::uint64_t steps_ = 0;
  std::map<TicketId, TicketRecord> tickets_{};
  std::set<TicketId> waiting_{};
  std::vector<TicketId> grants_{};
};

}  // namespace mgpu::sim
