#include "replay/settings.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <optional>
#include <utility>

#include "domain/enum_names.h"

namespace mgpu::replay {
namespace {

using StringView = std::string_view;

std::unexpected<Error> invalid_value(StringView text, StringView expected) {
  return fail(ErrorCode::invalid_request, "\"" + std::string(text) + "\" is not " + std::string(expected));
}

Result<void> read(StringView text, std::uint32_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return invalid_value(text, "a number");
  return {};
}
Result<void> read(StringView text, bool& value) {
  if (text != "true" && text != "false") return invalid_value(text, "true or false");
  value = text == "true";
  return {};
}
Result<void> read(StringView text, Bytes& value) {
  const Result<Bytes> bytes = parse_bytes(text);
  if (!bytes) return std::unexpected(bytes.error());
  value = *bytes;
  return {};
}
Result<void> read(StringView text, Duration& value) {
  const Result<Duration> duration = parse_duration(text);
  if (!duration) return std::unexpected(duration.error());
  value = *duration;
  return {};
}
Result<void> read(StringView text, Policy& value) {
  if (text != "fifo" && text != "affinity") return invalid_value(text, "a policy (fifo, affinity)");
  value = text == "fifo" ? Policy::fifo : Policy::affinity;
  return {};
}
Result<void> read(StringView text, Priority& value) {
  const auto priority = priority_from_name(text);
  if (!priority) return invalid_value(text, "a priority (realtime, interactive, normal, batch)");
  value = *priority;
  return {};
}

using MachineSetter = std::function<Result<void>(Machine&, StringView)>;
struct MachineSetting {
  StringView name{};
  MachineSetter apply{};
};
using ConsumerSetter = std::function<Result<void>(Machine&, ConsumerId, StringView)>;
struct ConsumerSetting {
  StringView name{};
  ConsumerSetter apply{};
};

template <class T>
MachineSetting limit_setting(StringView name, T SchedulingLimits::* field) {
  return {name,
          [field](Machine& machine, StringView text) { return read(text, machine.world.limits.*field); }};
}

template <class T>
MachineSetting device_setting(StringView name, T Device::* field) {
  return {name, [field](Machine& machine, StringView text) -> Result<void> {
            for (Device& device : machine.world.registry.devices)
              if (auto result = read(text, device.*field); !result) return result;
            return {};
          }};
}

template <class T>
ConsumerSetting consumer_setting(StringView name, T Consumer::* field) {
  return {name, [field](Machine& machine, ConsumerId consumer, StringView text) {
            return read(text, machine.world.registry[consumer].spec.*field);
          }};
}

Result<void> set_footprint(Machine& machine, ConsumerId consumer, StringView text) {
  ConsumerState& state = machine.world.registry[consumer];
  if (auto result = read(text, state.spec.footprint); !result) return result;
  for (const ResidentId id : state.residents) {
    machine.world.registry[id].declared_footprint = state.spec.footprint;
    machine.world.registry[id].footprint = state.spec.footprint;
  }
  return {};
}

Result<void> set_load_costs(Machine& machine, ConsumerId consumer, StringView text) {
  Duration cold{};
  if (auto result = read(text, cold); !result) return result;
  for (const ResidentId id : machine.world.registry[consumer].residents)
    machine.costs[id.value] = costs_from_cold(cold);
  return {};
}

const std::vector<MachineSetting>& machine_settings() {
  static const std::vector<MachineSetting> settings{
      limit_setting("policy", &SchedulingLimits::policy),
      limit_setting("overtake_limit", &SchedulingLimits::overtake_limit),
      limit_setting("ageing", &SchedulingLimits::ageing),
      limit_setting("load_ahead", &SchedulingLimits::load_ahead),
      {"park_memory",
       [](Machine& machine, StringView text) { return read(text, machine.world.registry.park_memory); }},
      limit_setting("max_queue", &SchedulingLimits::max_queue),
      limit_setting("wait_limit", &SchedulingLimits::wait_limit),
      limit_setting("room_limit", &SchedulingLimits::room_limit),
      limit_setting("reading_age", &SchedulingLimits::reading_age),
      device_setting("capacity", &Device::capacity),
      device_setting("reserve", &Device::reserve),
      {"page_cache", [](Machine& machine, StringView text) { return read(text, machine.page_cache); }},
      {"device_memory",
       [](Machine& machine, StringView text) -> Result<void> {
         for (Bytes& total : machine.device_memory)
           if (auto result = read(text, total); !result) return result;
         return {};
       }},
  };
  return settings;
}

const std::vector<ConsumerSetting>& consumer_settings() {
  static const std::vector<ConsumerSetting> settings{
      {"footprint", set_footprint},
      {"load", set_load_costs},
      consumer_setting("working", &Consumer::working),
      consumer_setting("concurrency", &Consumer::concurrency),
      consumer_setting("priority", &Consumer::priority),
      consumer_setting("weight", &Consumer::weight),
      consumer_setting("max_queue", &Consumer::max_queue),
      consumer_setting("max_turn", &Consumer::max_turn),
      consumer_setting("reserved", &Consumer::reserved),
      consumer_setting("exclusive", &Consumer::exclusive),
      consumer_setting("turnless", &Consumer::turnless),
      consumer_setting("pinned", &Consumer::pinned),
      consumer_setting("can_park", &Consumer::can_park),
      consumer_setting("can_unload", &Consumer::can_unload),
      consumer_setting("idle_unload", &Consumer::idle_unload),
  };
  return settings;
}

constexpr StringView kConsumerPrefix = "consumers.";

Error unknown_setting_error(StringView key) {
  std::string known;
  for (const MachineSetting& row : machine_settings()) known += std::string(row.name) + ", ";
  for (const ConsumerSetting& row : consumer_settings())
    known += std::string(kConsumerPrefix) + "NAME." + std::string(row.name) + ", ";
  known.resize(known.size() - 2);
  return {ErrorCode::invalid_request, "there is no setting \"" + std::string(key) + "\"; known are " + known};
}

// `path`: "chat.pinned" or "*.pinned". The name of a consumer may contain dots, so the last dot counts.
Result<void> apply_consumer_setting(Machine& machine, StringView path, StringView value) {
  const std::size_t dot = path.rfind('.');
  const StringView name = path.substr(0, dot);
  const auto row = std::ranges::find(consumer_settings(), dot == StringView::npos ? "" : path.substr(dot + 1),
                                     &ConsumerSetting::name);
  if (row == consumer_settings().end())
    return std::unexpected(unknown_setting_error(std::string(kConsumerPrefix) + std::string(path)));
  bool found = false;
  for (std::size_t i = 0; i < machine.world.registry.consumers.size(); ++i) {
    if (name != "*" && machine.world.registry.consumers[i].spec.name != name) continue;
    found = true;
    if (auto result = row->apply(machine, ConsumerId{i}, value); !result) return result;
  }
  if (!found) return fail(ErrorCode::invalid_request, "there is no consumer " + std::string(name));
  return {};
}

}  // namespace

Result<void> apply_setting(Machine& machine, StringView setting) {
  const std::size_t equals = setting.find('=');
  if (equals == StringView::npos)
    return fail(ErrorCode::invalid_request, "\"" + std::string(setting) + "\" is not KEY=VALUE");
  const StringView key = setting.substr(0, equals), value = setting.substr(equals + 1);
  if (key.starts_with(kConsumerPrefix))
    return apply_consumer_setting(machine, key.substr(kConsumerPrefix.size()), value);
  const auto row = std::ranges::find(machine_settings(), key, &MachineSetting::name);
  if (row == machine_settings().end()) return std::unexpected(unknown_setting_error(key));
  return row->apply(machine, value);
}

}  // namespace mgpu::replay
