// A witness to a life: it lets `step` decide and writes down what became of each ticket, as seen from
// outside. What the core keeps for itself (bounds, places, streaks) it does not believe but works out again.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "sched/world.h"

namespace mgpu::sim {

// A moment: steps of one instant come one after the other.
struct StepTime {
  std::uint64_t step = 0;
  Instant at{};
};

struct TicketRecord {
  TicketRequest ask{};
  StepTime arrived{};
  std::optional<StepTime> claimed{};   // its resident was to be loaded ahead of its turn
  std::optional<StepTime> promised{};  // it waited no longer for its turn, but for its room at most
  std::optional<StepTime> granted{};
  std::optional<StepTime> released{};
  bool refused = false;
};

class TicketRecorder {
 public:
  Effects operator()(World& world, const Event& event);

  const std::map<TicketId, TicketRecord>& tickets() const { return tickets_; }
  const std::vector<TicketId>& grants() const { return grants_; }  // in their order

 private:
  void update_waiting_tickets(const World& world, StepTime now);

  std::uint64_t steps_ = 0;
  std::map<TicketId, TicketRecord> tickets_{};
  std::set<TicketId> waiting_{};
  std::vector<TicketId> grants_{};
};

}  // namespace mgpu::sim
