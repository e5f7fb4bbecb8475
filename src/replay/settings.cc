#include "replay/settings.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <utility>

#include "domain/enum_names.h"

namespace mgpu::replay {
namespace {

using Words = std::string_view;

std::unexpected<Error> no_value(Words text, Words wanted) {
  return fail(ErrorCode::invalid_request, "\"" + std::string(text) + "\" is no " + std::string(wanted));
}

Result<void> read(Words text, std::uint32_t& value) {
  const auto got = std::from_chars(text.data(), text.data() + text.size(), value);
  if (got.ec != std::errc{} || got.ptr != text.data() + text.size()) return no_value(text, "number");
  return {};
}
Result<void> read(Words text, bool& value) {
  if (text != "true" && text != "false") return no_value(text, "true or false");
  value = text == "true";
  return {};
}
Result<void> read(Words text, Bytes& value) {
  const Result<Bytes> bytes = parse_bytes(text);
  if (!bytes) return std::unexpected(bytes.error());
  value = *bytes;
  return {};
}
Result<void> read(Words text, Duration& value) {
  const Result<Duration> duration = parse_duration(text);
  if (!duration) return std::unexpected(duration.error());
  value = *duration;
  return {};
}
Result<void> read(Words text, Policy& value) {
  if (text != "fifo" && text != "affinity") return no_value(text, "policy (fifo, affinity)");
  value = text == "fifo" ? Policy::fifo : Policy::affinity;
  return {};
}
Result<void> read(Words text, Priority& value) {
  const auto priority = priority_from_name(text);
  if (!priority) return no_value(text, "class (realtime, interactive, normal, batch)");
  value = *priority;
  return {};
}

using Change = std::function<Result<void>(House&, Words)>;
struct OfHouse {
  Words name{};
  Change change{};
};
using ConsumerChange = std::function<Result<void>(House&, ConsumerId, Words)>;
struct OfConsumer {
  Words name{};
  ConsumerChange change{};
};

template <class T>
OfHouse limit(Words name, T SchedulingLimits::* field) {
  return {name, [field](House& house, Words text) { return read(text, house.world.limits.*field); }};
}

template <class T>
OfHouse of_devices(Words name, T Device::* field) {
  return {name, [field](House& house, Words text) -> Result<void> {
            for (Device& device : house.world.registry.devices)
              if (auto done = read(text, device.*field); !done) return done;
            return {};
          }};
}

template <class T>
OfConsumer spec(Words name, T Consumer::* field) {
  return {name, [field](House& house, ConsumerId consumer, Words text) {
            return read(text, house.world.registry[consumer].spec.*field);
          }};
}

Result<void> set_footprint(House& house, ConsumerId consumer, Words text) {
  ConsumerState& state = house.world.registry[consumer];
  if (auto done = read(text, state.spec.footprint); !done) return done;
  for (const ResidentId id : state.residents) {
    house.world.registry[id].declared_footprint = state.spec.footprint;
    house.world.registry[id].footprint = state.spec.footprint;
  }
  return {};
}

Result<void> set_load(House& house, ConsumerId consumer, Words text) {
  Duration cold{};
  if (auto done = read(text, cold); !done) return done;
  for (const ResidentId id : house.world.registry[consumer].residents)
    house.costs[id.value] = costs_from_cold(cold);
  return {};
}

const std::vector<OfHouse>& of_house() {
  static const std::vector<OfHouse> all{
      limit("policy", &SchedulingLimits::policy),
      limit("overtake_limit", &SchedulingLimits::overtake_limit),
      limit("ageing", &SchedulingLimits::ageing),
      limit("load_ahead", &SchedulingLimits::load_ahead),
      {"park_memory", [](House& house, Words text) { return read(text, house.world.registry.park_memory); }},
      limit("max_queue", &SchedulingLimits::max_queue),
      limit("wait_limit", &SchedulingLimits::wait_limit),
      limit("room_limit", &SchedulingLimits::room_limit),
      limit("reading_age", &SchedulingLimits::reading_age),
      of_devices("capacity", &Device::capacity),
      of_devices("reserve", &Device::reserve),
      {"page_cache", [](House& house, Words text) { return read(text, house.page_cache); }},
      {"device_memory",
       [](House& house, Words text) -> Result<void> {
         for (Bytes& total : house.totals)
           if (auto done = read(text, total); !done) return done;
         return {};
       }},
  };
  return all;
}

const std::vector<OfConsumer>& of_consumer() {
  static const std::vector<OfConsumer> all{
      {"footprint", set_footprint},
      {"load", set_load},
      spec("working", &Consumer::working),
      spec("concurrency", &Consumer::concurrency),
      spec("priority", &Consumer::priority),
      spec("weight", &Consumer::weight),
      spec("max_queue", &Consumer::max_queue),
      spec("max_turn", &Consumer::max_turn),
      spec("reserved", &Consumer::reserved),
      spec("exclusive", &Consumer::exclusive),
      spec("turnless", &Consumer::turnless),
      spec("pinned", &Consumer::pinned),
      spec("can_park", &Consumer::can_park),
      spec("can_unload", &Consumer::can_unload),
      spec("idle_unload", &Consumer::idle_unload),
  };
  return all;
}

constexpr Words kConsumers = "consumers.";

// "chat.pinned" or "*.pinned": the name of a consumer may have dots itself.
Result<void> apply_to_consumers(House& house, Words path, Words value) {
  const std::size_t dot = path.rfind('.');
  const Words name = path.substr(0, dot);
  const auto row =
      std::ranges::find(of_consumer(), dot == Words::npos ? "" : path.substr(dot + 1), &OfConsumer::name);
  if (row == of_consumer().end())
    return fail(ErrorCode::invalid_request, "no setting \"" + std::string(path) + "\" of a consumer");
  bool found = false;
  for (std::size_t i = 0; i < house.world.registry.consumers.size(); ++i) {
    if (name != "*" && house.world.registry.consumers[i].spec.name != name) continue;
    found = true;
    if (auto done = row->change(house, ConsumerId{i}, value); !done) return done;
  }
  if (!found) return fail(ErrorCode::invalid_request, "there is no consumer " + std::string(name));
  return {};
}

}  // namespace

Result<void> apply_setting(House& house, Words setting) {
  const std::size_t equals = setting.find('=');
  if (equals == Words::npos)
    return fail(ErrorCode::invalid_request, "\"" + std::string(setting) + "\" is no KEY=VALUE");
  const Words key = setting.substr(0, equals), value = setting.substr(equals + 1);
  if (key.starts_with(kConsumers)) return apply_to_consumers(house, key.substr(kConsumers.size()), value);
  const auto row = std::ranges::find(of_house(), key, &OfHouse::name);
  if (row == of_house().end())
    return fail(ErrorCode::invalid_request, "there is no setting \"" + std::string(key) + "\"");
  return row->change(house, value);
}

std::vector<std::string> setting_names() {
  std::vector<std::string> names;
  for (const OfHouse& row : of_house()) names.emplace_back(row.name);
  for (const OfConsumer& row : of_consumer())
    names.push_back(std::string(kConsumers) + "NAME." + std::string(row.name));
  return names;
}

}  // namespace mgpu::replay
