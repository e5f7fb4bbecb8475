#include "api/status.h"

#include <algorithm>
#include <unordered_map>
#include <vector>

#include "config/hidden_values.h"
#include "config/services.h"
#include "domain/enum_names.h"
#include "http/endpoint.h"
#include "sched/line_order.h"
#include "sched/start_estimate.h"
#include "sched/step.h"

namespace mgpu::api {
namespace {

template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

Json turns_json(const World& world, const LineState& line) {
  Json turns = Json::array();
  for (const ConsumerId id : line.turns) turns.push_back(world.registry[id].spec.name);
  for (const TicketId id : line.bare_turns) turns.push_back("ticket " + std::to_string(id.value));
  return turns;
}

Json foreign_processes_json(const engine::Engine& engine, DeviceId device) {
  const config::Snapshot config = engine.config();
  Json processes = Json::array();
  for (const gpu::ProcessUsage& use : engine.observation(device).foreign_processes)
    processes.push_back({{"pid", use.pid},
                         {"command", config::hide_values(use.command, config->environment)},
                         {"bytes", use.bytes ? Json(use.bytes->count) : Json(nullptr)}});
  return processes;
}

// In host memory, of residents that hold none on the device.
Bytes parked_bytes(const Registry& registry, const ConsumerState& consumer) {
  Bytes bytes;
  for (const ResidentId id : consumer.residents)
    if (registry[id].state == Residency::parked) bytes += registry[id].footprint;
  return bytes;
}

Json yielding_json(const engine::Engine& engine, DeviceId device) {
  const auto& use = engine.observation(device).yielding_to;
  return use ? Json{{"pid", use->pid}, {"command", use->command}} : Json(nullptr);
}

Json by_consumer_json(const Registry& registry, DeviceId device) {
  Json by_consumer = Json::array();
  for (const ConsumerState& consumer : registry.consumers) {
    if (!is_on_device(consumer.spec, device)) continue;
    // Never less than measured, nor than expected.
    const Bytes committed = committed_bytes(registry, consumer, device);
    const Bytes parked_part = device_part(consumer.spec, device, parked_bytes(registry, consumer));
    const Bytes expected = device_part(consumer.spec, device, expected_bytes(registry, consumer));
    if (committed + parked_part == Bytes{}) continue;
    by_consumer.push_back({{"consumer", consumer.spec.name},
                           {"committed_bytes", committed.count},
                           {"measured_bytes", device_usage(consumer, device).measured.count},
                           {"expected_bytes", expected.count},
                           {"parked_bytes", parked_part.count}});
  }
  return by_consumer;
}

// total = committed + foreign + reserve + headroom, and total = measured + foreign + free.
Json memory_json(const engine::Engine& engine, DeviceId device) {
  const Registry& registry = engine.world().registry;
  const Reading& reading = registry.readings[device.value];
  Bytes measured = reading.bare;
  Bytes parked_total;
  for (const ConsumerState& consumer : registry.consumers) {
    if (!is_on_device(consumer.spec, device)) continue;
    measured += device_usage(consumer, device).measured;
    parked_total += device_part(consumer.spec, device, parked_bytes(registry, consumer));
  }
  const bool was_read = reading.taken_at > Instant{};
  return {{"total_bytes", reading.total.count},
          {"driver_reserved_bytes", engine.observation(device).driver_reserved.count},
          {"reserve_bytes", registry.devices[device.value].reserve.count},
          {"foreign_bytes", reading.foreign.count},
          {"committed_bytes", committed_bytes(registry, device).count},
          {"measured_bytes", measured.count},
          {"headroom_bytes", headroom(registry, device).count},
          {"free_bytes", (reading.total - measured - reading.foreign).count},
          {"parked_bytes", parked_total.count},
          {"bare_committed_bytes", std::max(registry.bare_reserved[device.value], reading.bare).count},
          {"bare_measured_bytes", reading.bare.count},
          {"attribution", reading.is_per_process ? "by_process" : "by_totals"},
          {"reading_age_ms", was_read ? Json(to_ms(engine.now() - reading.taken_at)) : Json(nullptr)},
          {"by_consumer", by_consumer_json(registry, device)},
          {"foreign_processes", foreign_processes_json(engine, device)}};
}

Json device_json(const engine::Engine& engine, DeviceId id) {
  const World& world = engine.world();
  const Device& device = world.registry.devices[id.value];
  const gpu::DeviceInfo& info = engine.devices()[id.value];
  const gpu::Telemetry telemetry = engine.observation(id).telemetry.value_or(gpu::Telemetry{});
  Json json = statistics_json(statistics_of(world, id), make_wall_clock(engine));
  json.update({{"id", device.name},
               {"name", info.name},
               {"uuid", info.uuid},
               {"simulated", info.simulated},
               {"capacity", device.capacity},
               {"turns", turns_json(world, world.lines[id.value])},
               {"memory", memory_json(engine, id)},
               {"utilisation_percent", or_null(telemetry.utilisation_percent)},
               {"temperature_c", or_null(telemetry.temperature_c)},
               {"power_w", or_null(telemetry.power_w)},
               {"yielding_to", yielding_json(engine, id)},
               {"lost", world.registry.readings[id.value].lost}});
  return json;
}

// As place_in_line says it of each ticket that waits, in one walk. A split ticket, which stands in several
// lines, is counted in that of its first device.
std::unordered_map<TicketId, std::size_t> places_in_lines(const World& world) {
  std::unordered_map<TicketId, std::size_t> places;
  for (std::size_t i = 0; i < world.lines.size(); ++i)
    for (const TicketQueue* queue : {&world.lines[i].waiting, &world.lines[i].turnless}) {
      std::size_t place = 0;
      for (const LinePlace& in_line : *queue) {
        ++place;
        const Ticket& ticket = world.tickets.at(in_line.ticket);
        if (ticket.stage == TicketStage::waiting && ticket.request.device == DeviceId{i})
          places[in_line.ticket] = place;
      }
    }
  return places;
}

Json ticket_json(const engine::Engine& engine, const Ticket& ticket, std::size_t place,
                 const StartTimes& starts) {
  const World& world = engine.world();
  const engine::Holder* holder = engine.holder(ticket.id);
  const bool is_running = ticket.stage == TicketStage::running;
  const Instant now = engine.now();
  const auto start = starts.find(ticket.id);
  const bool is_estimated = start != starts.end() && !is_running;  // it may have been granted since
  return {
      {"ticket", ticket.id.value},
      {"consumer",
       ticket.request.consumer ? Json(world.registry[*ticket.request.consumer].spec.name) : Json(nullptr)},
      {"ai_model", ticket.request.resident ? world.registry[*ticket.request.resident].ai_model : ""},
      {"device", world.registry.devices[ticket.request.device.value].name},
      {"stage", stage_name(ticket.stage)},
      {"place", place},
      {"waiting_ms", to_ms((is_running ? ticket.granted_at : now) - ticket.arrived_at)},
      {"running_ms", is_running ? to_ms(now - ticket.granted_at) : 0.0},
      {"priority", to_string(priority_of(world, ticket.request))},
      {"user", ticket.request.user == 0 ? Json(nullptr) : Json(engine.user_label(ticket.request.user))},
      {"estimated_start", is_estimated ? time_json(start->second, make_wall_clock(engine)) : Json(nullptr)},
      {"estimated_wait_ms", is_estimated ? Json(to_ms(time_remaining(start->second, now))) : Json(nullptr)},
      {"overtaken", ticket.overtake_until != kNever},
      {"who", holder != nullptr ? holder->who : ""}};
}

}  // namespace

WallClock make_wall_clock(const engine::Engine& engine) {
  return [&engine](Instant at) { return engine.wall_time(at); };
}

UserLabels make_user_labels(const engine::Engine& engine) {
  return [&engine](std::uint32_t user) { return engine.user_label(user); };
}

Json url_json(const engine::Engine& engine, ConsumerId consumer) {
  auto endpoint = engine.endpoint(consumer);
  if (!endpoint) return nullptr;
  endpoint->path.clear();
  return http::to_url(*endpoint);
}

// Of an external service: who listens at its address.
Json listener_json(const engine::Engine& engine, ConsumerId consumer) {
  const auto listener = engine.listener_of(consumer);
  if (!listener) return nullptr;
  return {{"pid", listener->pid == 0 ? Json(nullptr) : Json(listener->pid)}, {"name", listener->name}};
}

Json consumer_json(const engine::Engine& engine, ConsumerId id) {
  const Registry& registry = engine.world().registry;
  const ConsumerState& consumer = registry[id];
  const config::ConsumerSnapshot snapshot = engine.config_of(id);
  const config::ConsumerConfig& config = *snapshot;
  const WallClock wall = make_wall_clock(engine);
  Json residents = Json::array();
  for (const ResidentId resident : consumer.residents)
    residents.push_back(resident_json(registry[resident], wall));
  Json devices = Json::array();
  for (const DeviceId device : devices_of(consumer.spec))
    devices.push_back(registry.devices[device.value].name);
  return {{"name", consumer.spec.name},
          {"kind", to_string(consumer.spec.kind)},
          {"device", registry.devices[consumer.spec.device.value].name},
          {"devices", std::move(devices)},
          {"service", config::service_name(config.service.type)},
          {"state", to_string(consumer_residency(registry, consumer))},
          {"footprint_bytes", consumer.spec.footprint.count},
          {"residents", std::move(residents)},
          {"running", consumer.running_leases},
          {"waiting", consumer.waiting_tickets},
          {"loaded_uninvited", engine.loaded_uninvited(id)},
          {"concurrency", consumer.spec.concurrency},
          {"pinned", consumer.spec.pinned},
          {"exclusive", consumer.spec.exclusive},
          {"turnless", consumer.spec.turnless},
          {"aliases", config.aliases},
          {"pid", or_null(engine.pid_of(id))},
          {"listener", listener_json(engine, id)},
          {"notes", engine.notes(id)},
          {"url", url_json(engine, id)}};
}

Json consumers_json(const engine::Engine& engine) {
  Json consumers = Json::array();
  for (std::size_t i = 0; i < engine.world().registry.consumers.size(); ++i)
    consumers.push_back(consumer_json(engine, ConsumerId{i}));
  return consumers;
}

Json line_json(const engine::Engine& engine, const StartTimes& starts) {
  const World& world = engine.world();
  std::vector<const Ticket*> tickets;
  tickets.reserve(world.tickets.size());
  for (const auto& [id, ticket] : world.tickets) tickets.push_back(&ticket);
  // Running, preparing, waiting; within each in the order of the line.
  std::ranges::sort(tickets, [](const Ticket* a, const Ticket* b) {
    return a->stage != b->stage ? a->stage > b->stage : LinePlace{a->due, a->id} < LinePlace{b->due, b->id};
  });
  tickets.resize(std::min(tickets.size(), kMaxLineTickets));
  const auto places = places_in_lines(world);
  Json line = Json::array();
  for (const Ticket* ticket : tickets) {
    const auto place = places.find(ticket->id);
    line.push_back(ticket_json(engine, *ticket, place == places.end() ? 0 : place->second, starts));
  }
  return line;
}

Json status_json(const engine::Engine& engine, const StartTimes& starts, const DaemonFacts& daemon) {
  const World& world = engine.world();
  const WallClock wall = make_wall_clock(engine);
  const Instant as_of = engine.now();
  Json json = statistics_json(total_statistics(world), wall);
  Json devices = Json::array();
  for (std::size_t i = 0; i < world.registry.devices.size(); ++i)
    devices.push_back(device_json(engine, DeviceId{i}));
  Json line = line_json(engine, starts);
  json.update({{"version", daemon.version},
               {"started", daemon.started},
               {"as_of", time_json(as_of, wall)},
               {"epoch", engine.epoch()},
               {"draining", world.draining},
               {"oom_retries", engine.oom_retries()},
               {"log_lines_dropped", daemon.log_lines_dropped ? daemon.log_lines_dropped() : 0},
               {"devices", std::move(devices)},
               {"consumers", consumers_json(engine)},
               {"line_left_off", world.tickets.size() - line.size()},
               {"line", std::move(line)}});
  return json;
}

}  // namespace mgpu::api
