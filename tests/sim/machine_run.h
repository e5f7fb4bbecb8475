// A replay of a test machine with recorded tickets, for the properties of order, waiting and estimates.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <tuple>
#include <vector>

#include "replay/outcome.h"
#include "test_machine.h"
#include "ticket_recorder.h"

namespace mgpu::sim {

struct MachineRun {
  TestMachine test_machine{};
  replay::Machine machine{};
  replay::Outcome outcome{};  // job n is ticket n + 1
  TicketRecorder recorder{};

  const Consumer& spec_of(const TicketRecord& record) const {
    return machine.world.registry[*record.request.consumer].spec;
  }
  const TestConsumer& consumer_of(const TicketRecord& record) const {
    return test_machine.consumers[record.request.consumer->value];
  }
  std::span<const DeviceId> devices_of(const TicketRecord& record) const {
    return mgpu::devices_of(spec_of(record));
  }
  bool share_device(const TicketRecord& a, const TicketRecord& b) const {
    return std::ranges::any_of(devices_of(a),
                               [&](DeviceId device) { return is_on_device(spec_of(b), device); });
  }
  Priority class_of(const TicketRecord& record) const {
    return record.request.priority.value_or(spec_of(record).priority);
  }

  // Tickets of one group never overtake each other.
  using FifoGroup = std::tuple<ConsumerId, Priority, std::uint32_t>;
  FifoGroup fifo_group_of(const TicketRecord& record) const {
    return {*record.request.consumer, class_of(record), record.request.user};
  }
};

// Called after each step.
using StepObserver = std::function<void(const World& world)>;

// Repeating clients submit until `horizon`; then the remaining tickets are served. Throws if the core
// violates an assertion, so that rapidcheck shrinks the input.
MachineRun run_machine(const TestMachine& test_machine, const std::vector<TestRequest>& requests,
                       const std::vector<RepeatingClients>& repeating, Duration horizon,
                       const StepObserver& on_step = nullptr);

}  // namespace mgpu::sim
