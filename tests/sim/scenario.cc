#include "scenario.h"

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <sstream>

#include "domain/enum_names.h"
#include "sched/step.h"

#include "invariant_checker.h"

namespace mgpu::sim {
namespace {

struct EventWriter {
  std::ostream& out;

  void operator()(const TicketArrived& e) const {
    out << "arrived " << e.ticket.value << ' ' << e.request.device.value << ' '
        << (e.request.consumer ? static_cast<std::int64_t>(e.request.consumer->value) : -1) << ' '
        << (e.request.resident ? static_cast<std::int64_t>(e.request.resident->value) : -1) << ' '
        << e.request.bytes.count << ' ' << e.request.wait_limit.count() << ' '
        << (e.request.priority ? static_cast<int>(*e.request.priority) + 1 : 0) << ' ' << e.request.user
        << ' ' << e.request.deadline.count();
  }
  void operator()(const TicketCancelled& e) const { out << "cancelled " << e.ticket.value; }
  void operator()(const LeaseReleased& e) const { out << "released " << e.ticket.value; }
  void operator()(const LoadEnded& e) const {
    const bool out_of_memory = !e.result && e.result.error().code == ErrorCode::out_of_memory;
    out << "load_ended " << e.resident.value << ' ' << e.result.has_value() << ' '
        << static_cast<int>(e.source) << ' ' << out_of_memory;
  }
  void operator()(const RungEnded& e) const {
    out << "rung_ended " << e.resident.value << ' ' << static_cast<int>(e.rung) << ' '
        << e.result.has_value();
  }
  void operator()(const ReadingTaken& e) const {
    const Reading& reading = e.reading;
    out << "reading " << reading.device.value << ' ' << reading.taken_at.us << ' ' << reading.total.count
        << ' ' << reading.foreign.count << ' ' << reading.bare.count << ' ' << reading.lost << ' '
        << reading.consumers.size();
    for (const auto& [consumer, bytes] : reading.consumers)
      out << ' ' << consumer.value << ' ' << bytes.count;
    out << ' ' << reading.yielded;
  }
  void operator()(const ServiceLost& e) const { out << "service_lost " << e.consumer.value; }
  void operator()(const ResidentFound& e) const {
    out << "found " << e.resident.value << ' ' << static_cast<int>(e.presence);
  }
  void operator()(const ResidentAdded& e) const {
    out << "resident_added " << e.resident.value << ' ' << e.consumer.value << ' ' << e.footprint.count;
  }
  void operator()(const EvictionRequested& e) const {
    out << "eviction_requested " << e.resident.value << ' ' << e.park;
  }
  void operator()(const DrainRequested&) const { out << "drain"; }
  void operator()(const Tick&) const { out << "tick"; }
  void operator()(const OutOfMemorySeen& e) const { out << "out_of_memory_seen " << e.ticket.value; }
  void operator()(const StrayEnded&) const { out << "stray_ended"; }
  void operator()(const StrayLeftAlone&) const { out << "stray_left_alone"; }
  void operator()(const LearnedForgotten& e) const { out << "learned_forgotten " << e.resident.value; }
  void operator()(const KeepAliveSet& e) const {
    out << "keep_alive_set " << e.resident.value << ' ' << e.keep_alive.count();
  }
  void operator()(const SizeReported& e) const {
    out << "size_reported " << e.resident.value << ' ' << e.bytes.count << ' ' << e.is_estimate;
  }
  void operator()(const HourBegan& e) const { out << "hour_began " << int{e.hour}; }
};

template <class T>
T read(std::istream& in) {
  T value{};
  in >> value;
  return value;
}

TicketId read_ticket(std::istream& in) { return {read<std::uint64_t>(in)}; }
ResidentId read_resident(std::istream& in) { return {read<std::uint64_t>(in)}; }
DeviceId read_device(std::istream& in) { return {read<std::uint64_t>(in)}; }
ConsumerId read_consumer(std::istream& in) { return {read<std::uint64_t>(in)}; }
Bytes read_bytes(std::istream& in) { return {read<std::int64_t>(in)}; }
Duration read_duration(std::istream& in) { return Duration{read<std::int64_t>(in)}; }

Result<void> read_result(std::istream& in, ErrorCode code) {
  if (read<bool>(in)) return {};
  return fail(code, "failed in the scenario");
}

TicketRequest read_request(std::istream& in) {
  TicketRequest request{.device = read_device(in)};
  if (const auto consumer = read<std::int64_t>(in); consumer >= 0)
    request.consumer = {static_cast<std::uint64_t>(consumer)};
  if (const auto resident = read<std::int64_t>(in); resident >= 0)
    request.resident = {static_cast<std::uint64_t>(resident)};
  request.bytes = read_bytes(in);
  request.wait_limit = read_duration(in);
  if (const auto priority = read<int>(in); priority > 0)
    request.priority = static_cast<Priority>(priority - 1);
  request.user = read<std::uint32_t>(in);
  request.deadline = read_duration(in);
  return request;
}

Reading read_reading(std::istream& in) {
  Reading reading{.device = read_device(in), .taken_at = {read<std::int64_t>(in)}};
  reading.total = read_bytes(in), reading.foreign = read_bytes(in), reading.bare = read_bytes(in);
  reading.lost = read<bool>(in);
  for (auto n = read<std::size_t>(in); n > 0; --n) {
    const ConsumerId consumer = read_consumer(in);
    reading.consumers.push_back({consumer, read_bytes(in)});
  }
  reading.yielded = read<bool>(in);
  return reading;
}

EventPayload read_event(std::istream& in) {
  const auto name = read<std::string>(in);
  if (name == "arrived") {
    const TicketId ticket = read_ticket(in);
    return TicketArrived{ticket, read_request(in)};
  }
  if (name == "cancelled") return TicketCancelled{.ticket = read_ticket(in)};
  if (name == "released") return LeaseReleased{read_ticket(in)};
  if (name == "load_ended") {
    const ResidentId resident = read_resident(in);
    Result<void> result = read_result(in, ErrorCode::load_failed);
    const auto source = static_cast<LoadSource>(read<int>(in));
    if (read<bool>(in)) result = fail(ErrorCode::out_of_memory, "failed in the scenario");
    return LoadEnded{resident, result, source};
  }
  if (name == "rung_ended") {
    const ResidentId resident = read_resident(in);
    const auto rung = static_cast<Rung>(read<int>(in));
    return RungEnded{resident, rung, read_result(in, ErrorCode::eviction_failed)};
  }
  if (name == "reading") return ReadingTaken{read_reading(in)};
  if (name == "service_lost") return ServiceLost{.consumer = read_consumer(in)};
  if (name == "found") {
    const ResidentId resident = read_resident(in);
    return ResidentFound{resident, static_cast<Presence>(read<int>(in))};
  }
  if (name == "resident_added") {
    const ResidentId resident = read_resident(in);
    const ConsumerId consumer = read_consumer(in);
    return ResidentAdded{.resident = resident, .consumer = consumer, .footprint = read_bytes(in)};
  }
  if (name == "eviction_requested") {
    const ResidentId resident = read_resident(in);
    return EvictionRequested{resident, read<bool>(in)};
  }
  if (name == "stray_ended") return StrayEnded{};
  if (name == "stray_left_alone") return StrayLeftAlone{};
  if (name == "learned_forgotten") return LearnedForgotten{read_resident(in)};
  if (name == "keep_alive_set") {
    const ResidentId resident = read_resident(in);
    return KeepAliveSet{resident, read_duration(in)};
  }
  if (name == "size_reported") {
    const ResidentId resident = read_resident(in);
    const Bytes bytes = read_bytes(in);
    return SizeReported{resident, bytes, read<bool>(in)};
  }
  if (name == "drain") return DrainRequested{};
  if (name == "tick") return Tick{};
  if (name == "out_of_memory_seen") return OutOfMemorySeen{read_ticket(in)};
  if (name == "hour_began") return HourBegan{static_cast<std::uint8_t>(read<int>(in))};
  std::cerr << "unknown event in scenario: " << name << '\n';
  std::abort();
}

void write_consumer(std::ostream& out, const Consumer& c) {
  out << "consumer " << c.name << ' ' << c.device.value << ' ' << c.footprint.count << ' ' << c.working.count
      << ' ' << c.residue.count << ' ' << c.concurrency << ' ' << c.lease_only << c.exclusive << c.turnless
      << c.pinned << c.can_park << c.can_unload << c.can_stop << ' ' << c.idle_unload.count() << ' '
      << c.stop_limit.count() << '\n';
}

// The fields that the order of the line depends on. They are optional, because older scenarios lack them.
void write_order(std::ostream& out, std::size_t id, const Consumer& c) {
  out << "order " << id << ' ' << static_cast<int>(c.priority) << ' ' << c.weight << ' ' << c.max_queue << ' '
      << c.max_turn.count() << ' ' << c.reserved << ' ' << static_cast<int>(c.footprint_declaration) << ' '
      << c.followed_by.size();
  for (const ConsumerId next : c.followed_by) out << ' ' << next.value;
  out << ' ' << c.devices.size();
  for (const DeviceId device : c.devices) out << ' ' << device.value;
  out << '\n';
}

void write_split(std::ostream& out, std::size_t id, const Consumer& c) {
  if (c.split.empty()) return;
  out << "split " << id;
  for (const std::uint32_t part : c.split) out << ' ' << part;
  out << '\n';
}

void read_split(std::istream& in, Registry& registry) {
  ConsumerState& consumer = registry[read_consumer(in)];
  for (std::uint32_t part = 0; in >> part;) consumer.spec.split.push_back(part);
  consumer.other_usages.resize(consumer.spec.split.size() - 1);
}

void read_order(std::istream& in, Registry& registry) {
  const ConsumerId id = read_consumer(in);
  Consumer& c = registry[id].spec;
  c.priority = static_cast<Priority>(read<int>(in));
  c.weight = read<std::uint32_t>(in);
  c.max_queue = read<std::uint32_t>(in);
  c.max_turn = read_duration(in);
  c.reserved = read<bool>(in);
  c.footprint_declaration = static_cast<FootprintDeclaration>(read<int>(in));
  for (auto n = read<std::size_t>(in); n > 0; --n) c.followed_by.push_back(read_consumer(in));
  for (auto n = read<std::size_t>(in); n > 0; --n) c.devices.push_back(read_device(in));
}

Consumer read_spec(std::istream& in) {
  Consumer c{.name = read<std::string>(in), .device = read_device(in)};
  c.footprint = read_bytes(in), c.working = read_bytes(in), c.residue = read_bytes(in);
  c.concurrency = read<std::uint32_t>(in);
  const auto flags = read<std::string>(in);
  const auto flag = [&](std::size_t i) { return flags.at(i) == '1'; };
  c.lease_only = flag(0), c.exclusive = flag(1), c.turnless = flag(2), c.pinned = flag(3);
  c.can_park = flag(4), c.can_unload = flag(5), c.can_stop = flag(6);
  c.idle_unload = read_duration(in), c.stop_limit = read_duration(in);
  return c;
}

// Whether the shell could send the event now: time does not decrease, ticket ids are new, loads are answered
// only while they are in progress.
bool is_possible(const World& world, const Event& event) {
  if (event.at < world.now) return false;
  if (const auto* arrived = std::get_if<TicketArrived>(&event.payload))
    return !world.tickets.contains(arrived->ticket);
  if (const auto* ended = std::get_if<LoadEnded>(&event.payload))
    return ended->resident.value < world.registry.residents.size() &&
           world.registry[ended->resident].state == Residency::loading &&
           !world.registry[ended->resident].loads_by_itself;
  return true;
}

}  // namespace

std::string to_text(const Scenario& scenario) {
  std::ostringstream out;
  const Registry& registry = scenario.world.registry;
  const SchedulingLimits& limits = scenario.world.limits;
  out << "limits " << limits.max_queue << ' ' << limits.wait_limit.count() << ' ' << limits.room_limit.count()
      << '\n';
  for (const Device& d : registry.devices)
    out << "device " << d.name << ' ' << d.capacity << ' ' << d.reserve.count << '\n';
  out << "policy " << static_cast<int>(limits.policy) << ' ' << limits.overtake_limit.count() << ' '
      << limits.ageing.count() << ' ' << limits.load_ahead << ' ' << registry.park_memory.count << '\n';
  for (const ConsumerState& c : registry.consumers) write_consumer(out, c.spec);
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) write_order(out, i, registry.consumers[i].spec);
  for (std::size_t i = 0; i < registry.consumers.size(); ++i) write_split(out, i, registry.consumers[i].spec);
  for (const Resident& r : registry.residents)
    out << "resident " << r.consumer.value << ' ' << r.footprint.count << '\n';
  for (const Event& event : scenario.events) {
    out << '@' << event.at.us << ' ';
    std::visit(EventWriter{out}, event.payload);
    out << '\n';
  }
  return out.str();
}

Scenario from_text(const std::string& text) {
  Scenario scenario;
  World& world = scenario.world;
  world.limits.policy = Policy::fifo;  // of older scenarios, which have no policy
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == '#') continue;
    std::istringstream in(line);
    const auto keyword = read<std::string>(in);
    if (keyword == "limits") {
      world.limits.max_queue = read<std::uint32_t>(in);
      world.limits.wait_limit = read_duration(in);
      world.limits.room_limit = read_duration(in);
    } else if (keyword == "policy") {
      world.limits.policy = static_cast<Policy>(read<int>(in));
      world.limits.overtake_limit = read_duration(in);
      world.limits.ageing = read_duration(in);
      world.limits.load_ahead = read<bool>(in);
      world.registry.park_memory = read_bytes(in);
    } else if (keyword == "order") {
      read_order(in, world.registry);
    } else if (keyword == "split") {
      read_split(in, world.registry);
    } else if (keyword == "device") {
      Device device{.name = read<std::string>(in)};
      device.capacity = read<std::uint32_t>(in);
      device.reserve = read_bytes(in);
      add_device(world, device);
    } else if (keyword == "consumer") {
      Consumer spec = read_spec(in);
      add_consumer(world.registry, std::move(spec));
    } else if (keyword == "resident") {
      const ConsumerId consumer = read_consumer(in);
      add_resident(world.registry, consumer, "", read_bytes(in));
    } else {
      const Instant at{std::stoll(keyword.substr(1))};
      scenario.events.push_back({at, read_event(in)});
    }
  }
  return scenario;
}

std::optional<ScenarioFailure> replay_scenario(const Scenario& scenario) {
  World world = scenario.world;
  InvariantChecker checker;
  for (std::size_t i = 0; i < scenario.events.size(); ++i) {
    const Event& event = scenario.events[i];
    if (!is_possible(world, event)) continue;
    if (auto violation = checker.step_and_check(world, event); !violation.empty())
      return ScenarioFailure{violation, i + 1};
  }
  return std::nullopt;
}

Scenario shrink_scenario(Scenario scenario, const ScenarioFailure& failure) {
  scenario.events.resize(failure.event_count);
  for (std::size_t chunk = std::max<std::size_t>(scenario.events.size() / 2, 1);;
       chunk = std::max<std::size_t>(chunk / 2, 1)) {
    bool is_shorter = false;
    for (std::size_t from = 0; from < scenario.events.size();) {
      Scenario candidate = scenario;
      const auto begin = candidate.events.begin() + static_cast<std::ptrdiff_t>(from);
      candidate.events.erase(
          begin, begin + static_cast<std::ptrdiff_t>(std::min(chunk, candidate.events.size() - from)));
      const auto replayed = replay_scenario(candidate);
      if (replayed && replayed->message == failure.message) {
        candidate.events.resize(std::min(replayed->event_count, candidate.events.size()));
        scenario = std::move(candidate);
        is_shorter = true;
      } else {
        from += chunk;
      }
    }
    if (chunk == 1 && !is_shorter) return scenario;
  }
}

}  // namespace mgpu::sim
