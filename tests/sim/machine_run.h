// A household's life before a witness: what the properties of order, waiting and estimates look at.
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
  replay::Outcome outcome{};  // Job number n is ticket n + 1
  TicketRecorder recorder{};

  const Consumer& spec_of(const TicketRecord& record) const {
    return machine.world.registry[*record.ask.consumer].spec;
  }
  const TestConsumer& member_of(const TicketRecord& record) const {
    return test_machine.consumers[record.ask.consumer->value];
  }
  std::span<const DeviceId> devices_of(const TicketRecord& record) const {
    return mgpu::devices_of(spec_of(record));
  }
  bool share_device(const TicketRecord& one, const TicketRecord& other) const {  // on some device
    return std::ranges::any_of(devices_of(one),
                               [&](DeviceId device) { return is_on_device(spec_of(other), device); });
  }
  Priority class_of(const TicketRecord& record) const {
    return record.ask.priority.value_or(spec_of(record).priority);
  }

  // Those of one kind may never overtake each other.
  using FifoGroup = std::tuple<ConsumerId, Priority, std::uint32_t>;
  FifoGroup fifo_group_of(const TicketRecord& record) const {
    return {*record.ask.consumer, class_of(record), record.ask.user};
  }
};

// What a property wants to see itself, after each step.
using StepObserver = std::function<void(const World& world)>;

// Regulars come again until `horizon`; then everybody is served to the end. A promise of the core that breaks
// is thrown, so that rapidcheck shrinks what broke it.
MachineRun run_machine(const TestMachine& test_machine, const std::vector<TestRequest>& requests,
                       const std::vector<RepeatingClients>& repeating, Duration horizon,
                       const StepObserver& on_step = nullptr);

}  // namespace mgpu::sim
