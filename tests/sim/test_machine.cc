#include "test_machine.h"

#include <array>
#include <ostream>
#include <string>

#include "domain/enum_names.h"

namespace mgpu::sim {
namespace {

constexpr Instant kStart{1'000'000};

Duration ms(int count) { return std::chrono::milliseconds{count}; }

// Draws from the whole range in all cases; by default rapidcheck would begin with small numbers.
rc::Gen<int> between(int min, int max) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(min, max + 1));
}

// Draws `usual` in two of three cases.
rc::Gen<int> mostly(int usual, int min, int max) {
  return rc::gen::weightedOneOf<int>({{2, rc::gen::just(usual)}, {1, between(min, max)}});
}
rc::Gen<bool> rarely_true() {
  return rc::gen::map(between(0, 7), [](int drawn) { return drawn == 7; });
}

template <class T>
rc::Gen<std::vector<T>> vector_up_to(int max_size, rc::Gen<T> element) {
  return rc::gen::resize(max_size, rc::gen::container<std::vector<T>>(std::move(element)));
}

std::size_t wrapped_index(int number, std::size_t count) { return static_cast<std::size_t>(number) % count; }

}  // namespace

rc::Gen<TestConsumer> arbitrary_consumer() {
  return rc::gen::build<TestConsumer>(
      rc::gen::set(&TestConsumer::placement,
                   rc::gen::map(between(0, 2), [](int drawn) { return static_cast<Placement>(drawn); })),
      rc::gen::set(&TestConsumer::footprint_gib, between(1, 12)),
      rc::gen::set(&TestConsumer::working_gib, between(0, 3)),
      rc::gen::set(&TestConsumer::load_ms, between(4, 3'000)),
      rc::gen::set(&TestConsumer::unload_ms, between(2, 500)),
      rc::gen::set(&TestConsumer::ai_models, mostly(1, 1, 2)),
      rc::gen::set(&TestConsumer::concurrency, mostly(1, 1, 3)),
      rc::gen::set(&TestConsumer::priority, mostly(0, 0, 3)),
      rc::gen::set(&TestConsumer::weight, mostly(1, 1, 5)),
      rc::gen::set(&TestConsumer::max_turn_ms, mostly(0, 0, 5'000)),
      rc::gen::set(&TestConsumer::followed_by, mostly(0, 0, 4)),
      rc::gen::set(&TestConsumer::exclusive, rarely_true()),
      rc::gen::set(&TestConsumer::turnless, rarely_true()),
      rc::gen::set(&TestConsumer::lease_only, rarely_true()),
      rc::gen::set(&TestConsumer::parks, rarely_true()));
}

rc::Gen<TestMachine> arbitrary_machine() {
  const auto consumers =
      rc::gen::suchThat(vector_up_to(5, arbitrary_consumer()), [](const auto& all) { return !all.empty(); });
  return rc::gen::build<TestMachine>(rc::gen::set(&TestMachine::devices, between(1, 2)),
                                     rc::gen::set(&TestMachine::capacity, mostly(1, 1, 3)),
                                     rc::gen::set(&TestMachine::fifo, rc::gen::arbitrary<bool>()),
                                     rc::gen::set(&TestMachine::load_ahead, rc::gen::arbitrary<bool>()),
                                     rc::gen::set(&TestMachine::overtake_ms, mostly(0, 0, 20'000)),
                                     rc::gen::set(&TestMachine::ageing_ms, between(0, 10'000)),
                                     rc::gen::set(&TestMachine::park_gib, mostly(0, 0, 32)),
                                     rc::gen::set(&TestMachine::consumers, consumers));
}

rc::Gen<TestRequest> arbitrary_request() {
  return rc::gen::build<TestRequest>(rc::gen::set(&TestRequest::at_ms, between(0, 20'000)),
                                     rc::gen::set(&TestRequest::consumer_index, between(0, 5)),
                                     rc::gen::set(&TestRequest::ai_model_index, between(0, 1)),
                                     rc::gen::set(&TestRequest::work_ms, between(100, 3'000)),
                                     rc::gen::set(&TestRequest::priority, mostly(0, 0, 4)),
                                     rc::gen::set(&TestRequest::user, mostly(0, 0, 2)));
}

rc::Gen<std::vector<TestRequest>> arbitrary_requests() { return vector_up_to(20, arbitrary_request()); }

rc::Gen<std::vector<RepeatingClients>> arbitrary_clients() {
  return vector_up_to(
      5, rc::gen::build<RepeatingClients>(rc::gen::set(&RepeatingClients::clients, between(1, 4)),
                                          rc::gen::set(&RepeatingClients::pause_ms, between(0, 2'000)),
                                          rc::gen::set(&RepeatingClients::request, arbitrary_request())));
}

std::ostream& operator<<(std::ostream& out, const TestConsumer& consumer) {
  constexpr std::array kPlacements{"first", "second", "split"};
  out << '{' << kPlacements[static_cast<std::size_t>(consumer.placement)] << ": " << consumer.footprint_gib
      << " GiB + " << consumer.working_gib << ", load " << consumer.load_ms << " ms, unload "
      << consumer.unload_ms << " ms, " << to_string(static_cast<Priority>(consumer.priority));
  const auto print_unless = [&](const char* name, int value, int usual) {
    if (value != usual) out << ", " << name << ' ' << value;
  };
  print_unless("ai_models", consumer.ai_models, 1), print_unless("concurrency", consumer.concurrency, 1);
  print_unless("weight", consumer.weight, 1), print_unless("max_turn_ms", consumer.max_turn_ms, 0);
  print_unless("run_ms", consumer.run_ms, 0), print_unless("followed_by", consumer.followed_by, 0);
  if (consumer.exclusive) out << ", exclusive";
  if (consumer.turnless) out << ", turnless";
  if (consumer.lease_only) out << ", lease_only";
  if (consumer.parks) out << ", parks";
  return out << '}';
}

std::ostream& operator<<(std::ostream& out, const TestMachine& test_machine) {
  out << test_machine.devices << " device(s), " << (test_machine.fifo ? "fifo" : "affinity") << ", capacity "
      << test_machine.capacity;
  if (test_machine.load_ahead) out << ", load_ahead";
  out << ", overtake_ms " << test_machine.overtake_ms << ", ageing_ms " << test_machine.ageing_ms
      << ", park_gib " << test_machine.park_gib;
  for (std::size_t i = 0; i < test_machine.consumers.size(); ++i) {
    out << "\n  consumer " << i << ": " << test_machine.consumers[i];
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const TestRequest& request) {
  out << "\n  {at " << request.at_ms << " ms: consumer " << request.consumer_index << ", ai_model "
      << request.ai_model_index << ", work " << request.work_ms << " ms";
  if (request.priority > 0) out << ", " << to_string(static_cast<Priority>(request.priority - 1));
  if (request.user > 0) out << ", user " << request.user;
  return out << '}';
}

std::ostream& operator<<(std::ostream& out, const RepeatingClients& repeating) {
  return out << repeating.request << " x " << repeating.clients << ", again after " << repeating.pause_ms
             << " ms";
}

replay::Machine to_machine(const TestMachine& test_machine) {
  replay::Machine machine;
  SchedulingLimits& limits = machine.world.limits;
  limits.policy = test_machine.fifo ? Policy::fifo : Policy::affinity;
  limits.load_ahead = test_machine.load_ahead;
  limits.overtake_limit = ms(test_machine.overtake_ms);
  limits.ageing = ms(test_machine.ageing_ms);
  limits.wait_limit = std::chrono::hours{24};  // a starving ticket must fail a property, not be refused
  machine.world.registry.park_memory = kGiB * test_machine.park_gib;
  for (int i = 0; i < test_machine.devices; ++i)
    add_device(
        machine,
        {.name = "gpu" + std::to_string(i), .capacity = static_cast<std::uint32_t>(test_machine.capacity)},
        kGiB * kDeviceGib);
  for (const TestConsumer& consumer : test_machine.consumers) {
    Consumer spec{.name = "c" + std::to_string(machine.world.registry.consumers.size())};
    if (test_machine.devices == 2 && consumer.placement == Placement::second) spec.device = DeviceId{1};
    if (test_machine.devices == 2 && consumer.placement == Placement::split)
      spec.devices = {{0}, {1}}, spec.split = {1, 1};
    spec.footprint = kGiB * consumer.footprint_gib;
    spec.working = kGiB * consumer.working_gib;
    spec.concurrency = static_cast<std::uint32_t>(consumer.concurrency);
    spec.priority = static_cast<Priority>(consumer.priority);
    spec.weight = static_cast<std::uint32_t>(consumer.weight);
    spec.max_turn = ms(consumer.max_turn_ms);
    spec.exclusive = consumer.exclusive, spec.turnless = consumer.turnless,
    spec.lease_only = consumer.lease_only;
    spec.can_unload = true, spec.can_park = consumer.parks;
    if (consumer.followed_by > 0)
      spec.followed_by = {{wrapped_index(consumer.followed_by - 1, test_machine.consumers.size())}};
    const replay::Costs costs{.load_cold = ms(consumer.load_ms),
                              .load_cached = ms(consumer.load_ms),
                              .load_parked = ms(consumer.load_ms / 4),
                              .unload = ms(consumer.unload_ms),
                              .park = ms(consumer.unload_ms / 2)};
    const ConsumerId id = add_consumer(machine, spec, costs);
    for (int i = 1; i < consumer.ai_models && !consumer.lease_only; ++i) {
      add_resident(machine.world.registry, id, std::to_string(i), spec.footprint);
      machine.costs.push_back(costs);
    }
  }
  set_learned_costs(machine);
  for (Resident& resident : machine.world.registry.residents)
    resident.costs.run = ms(test_machine.consumers[resident.consumer.value].run_ms);
  return machine;
}

replay::Workload to_workload(const TestMachine& test_machine, const replay::Machine& machine,
                             const std::vector<TestRequest>& requests,
                             const std::vector<RepeatingClients>& repeating, Duration horizon) {
  replay::Workload workload{.flows = {}, .horizon = kStart + horizon};
  const auto step_of = [&](const TestRequest& request) {
    const ConsumerId consumer{wrapped_index(request.consumer_index, test_machine.consumers.size())};
    const auto& residents = machine.world.registry[consumer].residents;
    replay::FlowStep step{.consumer = consumer, .work = ms(request.work_ms)};
    if (!residents.empty())
      step.resident = residents[wrapped_index(request.ai_model_index, residents.size())];
    if (request.priority > 0) step.priority = static_cast<Priority>(request.priority - 1);
    return step;
  };
  const auto add_flow = [&](const TestRequest& request, std::vector<replay::FlowStep> steps) {
    workload.flows.push_back({.start = kStart + ms(request.at_ms),
                              .user = static_cast<std::uint32_t>(request.user),
                              .steps = std::move(steps)});
  };
  for (const TestRequest& request : requests) add_flow(request, {step_of(request)});
  for (const RepeatingClients& clients : repeating) {
    replay::FlowStep step = step_of(clients.request);
    step.pause = ms(clients.pause_ms);
    const auto step_count = horizon / (step.work + step.pause) + 2;
    for (int i = 0; i < clients.clients; ++i)
      add_flow(clients.request, std::vector<replay::FlowStep>(static_cast<std::size_t>(step_count), step));
  }
  return workload;
}

}  // namespace mgpu::sim
