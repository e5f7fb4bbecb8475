#include "household.h"

#include <array>
#include <ostream>
#include <string>

#include "domain/enum_names.h"

namespace mgpu::sim {
namespace {

constexpr Instant kFirst{1'000'000};

Duration ms(int count) { return std::chrono::milliseconds{count}; }

// The whole range from the first case on, however small rapidcheck wants to begin: short lists of any
// numbers.
rc::Gen<int> between(int least, int most) {
  return rc::gen::resize(rc::kNominalSize, rc::gen::inRange(least, most + 1));
}

// Mostly the usual value.
rc::Gen<int> seldom(int usual, int least, int most) {
  return rc::gen::weightedOneOf<int>({{2, rc::gen::just(usual)}, {1, between(least, most)}});
}
rc::Gen<bool> seldom() {
  return rc::gen::map(between(0, 7), [](int drawn) { return drawn == 7; });
}

template <class T>
rc::Gen<std::vector<T>> up_to(int most, rc::Gen<T> one) {
  return rc::gen::resize(most, rc::gen::container<std::vector<T>>(std::move(one)));
}

std::size_t around(int number, std::size_t count) { return static_cast<std::size_t>(number) % count; }

}  // namespace

rc::Gen<Member> some_member() {
  return rc::gen::build<Member>(
      rc::gen::set(&Member::home,
                   rc::gen::map(between(0, 2), [](int drawn) { return static_cast<Home>(drawn); })),
      rc::gen::set(&Member::footprint_gib, between(1, 12)), rc::gen::set(&Member::working_gib, between(0, 3)),
      rc::gen::set(&Member::load_ms, between(4, 3'000)), rc::gen::set(&Member::unload_ms, between(2, 500)),
      rc::gen::set(&Member::ai_models, seldom(1, 1, 2)), rc::gen::set(&Member::concurrency, seldom(1, 1, 3)),
      rc::gen::set(&Member::priority, seldom(0, 0, 3)), rc::gen::set(&Member::weight, seldom(1, 1, 5)),
      rc::gen::set(&Member::max_turn_ms, seldom(0, 0, 5'000)),
      rc::gen::set(&Member::followed_by, seldom(0, 0, 4)), rc::gen::set(&Member::exclusive, seldom()),
      rc::gen::set(&Member::turnless, seldom()), rc::gen::set(&Member::lease_only, seldom()),
      rc::gen::set(&Member::parks, seldom()));
}

rc::Gen<Household> some_household() {
  const auto members =
      rc::gen::suchThat(up_to(5, some_member()), [](const auto& all) { return !all.empty(); });
  return rc::gen::build<Household>(
      rc::gen::set(&Household::devices, between(1, 2)), rc::gen::set(&Household::capacity, seldom(1, 1, 3)),
      rc::gen::set(&Household::fifo, rc::gen::arbitrary<bool>()),
      rc::gen::set(&Household::load_ahead, rc::gen::arbitrary<bool>()),
      rc::gen::set(&Household::overtake_ms, seldom(0, 0, 20'000)),
      rc::gen::set(&Household::ageing_ms, between(0, 10'000)),
      rc::gen::set(&Household::park_gib, seldom(0, 0, 32)), rc::gen::set(&Household::members, members));
}

rc::Gen<Request> some_request() {
  return rc::gen::build<Request>(
      rc::gen::set(&Request::at_ms, between(0, 20'000)), rc::gen::set(&Request::member, between(0, 5)),
      rc::gen::set(&Request::ai_model, between(0, 1)), rc::gen::set(&Request::work_ms, between(100, 3'000)),
      rc::gen::set(&Request::priority, seldom(0, 0, 4)), rc::gen::set(&Request::user, seldom(0, 0, 2)));
}

rc::Gen<std::vector<Request>> some_requests() { return up_to(20, some_request()); }

rc::Gen<std::vector<Regulars>> some_regulars() {
  return up_to(5, rc::gen::build<Regulars>(rc::gen::set(&Regulars::clients, between(1, 4)),
                                           rc::gen::set(&Regulars::pause_ms, between(0, 2'000)),
                                           rc::gen::set(&Regulars::request, some_request())));
}

std::ostream& operator<<(std::ostream& out, const Member& member) {
  constexpr std::array kHomes{"first", "second", "split"};
  out << '{' << kHomes[static_cast<std::size_t>(member.home)] << ": " << member.footprint_gib << " GiB + "
      << member.working_gib << ", loads " << member.load_ms << " ms, leaves " << member.unload_ms << " ms, "
      << to_string(static_cast<Priority>(member.priority));
  const auto unless = [&](const char* name, int value, int usual) {
    if (value != usual) out << ", " << name << ' ' << value;
  };
  unless("ai_models", member.ai_models, 1), unless("concurrency", member.concurrency, 1);
  unless("weight", member.weight, 1), unless("max_turn_ms", member.max_turn_ms, 0);
  unless("run_ms", member.run_ms, 0), unless("followed_by", member.followed_by, 0);
  if (member.exclusive) out << ", exclusive";
  if (member.turnless) out << ", turnless";
  if (member.lease_only) out << ", lease_only";
  if (member.parks) out << ", parks";
  return out << '}';
}

std::ostream& operator<<(std::ostream& out, const Household& household) {
  out << household.devices << " device(s), " << (household.fifo ? "fifo" : "affinity") << ", capacity "
      << household.capacity;
  if (household.load_ahead) out << ", load_ahead";
  out << ", overtake_ms " << household.overtake_ms << ", ageing_ms " << household.ageing_ms << ", park_gib "
      << household.park_gib;
  for (std::size_t i = 0; i < household.members.size(); ++i) {
    out << "\n  member " << i << ": " << household.members[i];
  }
  return out;
}

std::ostream& operator<<(std::ostream& out, const Request& request) {
  out << "\n  {at " << request.at_ms << " ms: member " << request.member << ", ai_model " << request.ai_model
      << ", works " << request.work_ms << " ms";
  if (request.priority > 0) out << ", " << to_string(static_cast<Priority>(request.priority - 1));
  if (request.user > 0) out << ", user " << request.user;
  return out << '}';
}

std::ostream& operator<<(std::ostream& out, const Regulars& regulars) {
  return out << regulars.request << " x " << regulars.clients << ", again after " << regulars.pause_ms
             << " ms";
}

replay::Machine built(const Household& household) {
  replay::Machine house;
  SchedulingLimits& limits = house.world.limits;
  limits.policy = household.fifo ? Policy::fifo : Policy::affinity;
  limits.load_ahead = household.load_ahead;
  limits.overtake_limit = ms(household.overtake_ms);
  limits.ageing = ms(household.ageing_ms);
  limits.wait_limit = std::chrono::hours{24};  // who starves shall be seen to
  house.world.registry.park_memory = kGiB * household.park_gib;
  for (int i = 0; i < household.devices; ++i)
    add_device(
        house,
        {.name = "gpu" + std::to_string(i), .capacity = static_cast<std::uint32_t>(household.capacity)},
        kGiB * kDeviceGib);
  for (const Member& member : household.members) {
    Consumer spec{.name = "c" + std::to_string(house.world.registry.consumers.size())};
    if (household.devices == 2 && member.home == Home::second) spec.device = DeviceId{1};
    if (household.devices == 2 && member.home == Home::split) spec.devices = {{0}, {1}}, spec.split = {1, 1};
    spec.footprint = kGiB * member.footprint_gib;
    spec.working = kGiB * member.working_gib;
    spec.concurrency = static_cast<std::uint32_t>(member.concurrency);
    spec.priority = static_cast<Priority>(member.priority);
    spec.weight = static_cast<std::uint32_t>(member.weight);
    spec.max_turn = ms(member.max_turn_ms);
    spec.exclusive = member.exclusive, spec.turnless = member.turnless, spec.lease_only = member.lease_only;
    spec.can_unload = true, spec.can_park = member.parks;
    if (member.followed_by > 0)
      spec.followed_by = {{around(member.followed_by - 1, household.members.size())}};
    const replay::Costs costs{.load_cold = ms(member.load_ms),
                              .load_cached = ms(member.load_ms),
                              .load_parked = ms(member.load_ms / 4),
                              .unload = ms(member.unload_ms),
                              .park = ms(member.unload_ms / 2)};
    const ConsumerId id = add_consumer(house, spec, costs);
    for (int i = 1; i < member.ai_models && !member.lease_only; ++i) {
      add_resident(house.world.registry, id, std::to_string(i), spec.footprint);
      house.costs.push_back(costs);
    }
  }
  set_learned_costs(house);
  for (Resident& resident : house.world.registry.residents)
    resident.costs.run = ms(household.members[resident.consumer.value].run_ms);
  return house;
}

replay::Workload asked(const Household& household, const replay::Machine& house,
                       const std::vector<Request>& requests, const std::vector<Regulars>& regulars,
                       Duration horizon) {
  replay::Workload workload{.flows = {}, .horizon = kFirst + horizon};
  const auto step_of = [&](const Request& request) {
    const ConsumerId consumer{around(request.member, household.members.size())};
    const auto& residents = house.world.registry[consumer].residents;
    replay::FlowStep step{.consumer = consumer, .work = ms(request.work_ms)};
    if (!residents.empty()) step.resident = residents[around(request.ai_model, residents.size())];
    if (request.priority > 0) step.priority = static_cast<Priority>(request.priority - 1);
    return step;
  };
  const auto begin = [&](const Request& request, std::vector<replay::FlowStep> steps) {
    workload.flows.push_back({.start = kFirst + ms(request.at_ms),
                              .user = static_cast<std::uint32_t>(request.user),
                              .steps = std::move(steps)});
  };
  for (const Request& request : requests) begin(request, {step_of(request)});
  for (const Regulars& each : regulars) {
    replay::FlowStep again = step_of(each.request);
    again.pause = ms(each.pause_ms);
    const auto times = horizon / (again.work + again.pause) + 2;
    for (int i = 0; i < each.clients; ++i)
      begin(each.request, std::vector<replay::FlowStep>(static_cast<std::size_t>(times), again));
  }
  return workload;
}

}  // namespace mgpu::sim
