#include "engine/setup.h"

#include <algorithm>
#include <optional>

#include "service/service.h"

namespace mgpu::engine {
namespace {

Result<gpu::DeviceInfo> find_device(const config::DeviceConfig& wanted, std::size_t place,
                                    const std::vector<gpu::DeviceInfo>& found) {
  const auto is_it = [&](const gpu::DeviceInfo& info) {
    if (!wanted.uuid.empty()) return info.uuid == wanted.uuid;
    return info.index == wanted.index.value_or(static_cast<std::uint32_t>(place));
  };
  const auto device = std::ranges::find_if(found, is_it);
  if (device != found.end()) return *device;
  const std::string how = wanted.uuid.empty()
                              ? "index " + std::to_string(wanted.index.value_or(static_cast<unsigned>(place)))
                              : "UUID " + wanted.uuid;
  return fail(Code::invalid_config, "device " + wanted.id + ": the driver has no device with " + how +
                                        " (it has " + std::to_string(found.size()) + ")");
}

Result<void> add_devices(Setup& setup, const config::Config& config,
                         const std::vector<gpu::DeviceInfo>& found) {
  if (found.empty()) return fail(Code::invalid_config, "the driver has no device");
  std::vector<config::DeviceConfig> wanted = config.devices;
  if (wanted.empty())
    for (const gpu::DeviceInfo& info : found) wanted.push_back({.index = info.index});
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].id.empty()) wanted[i].id = "gpu" + std::to_string(i);
    const auto info = find_device(wanted[i], i, found);
    if (!info) return std::unexpected(info.error());
    add_device(setup.world,
               {.name = wanted[i].id, .capacity = wanted[i].capacity, .reserve = wanted[i].reserve});
    setup.devices.push_back(*info);
  }
  return {};
}

Result<DeviceId> device_of(const World& world, const config::ConsumerConfig& consumer) {
  if (consumer.device.empty()) return DeviceId{0};
  const auto found = std::ranges::find(world.registry.devices, consumer.device, &Device::name);
  if (found == world.registry.devices.end())
    return fail(Code::invalid_config,
                "consumer " + consumer.name + ": there is no device " + consumer.device);
  return DeviceId{static_cast<std::uint64_t>(found - world.registry.devices.begin())};
}

// Error: invalid_config (the url of its service).
Result<Consumer> as_the_core_sees_it(const config::ConsumerConfig& config, DeviceId device) {
  const config::ServiceConfig& service = config.service;
  const std::uint16_t any_port = 1;  // what it can do does not depend on where it listens
  const auto asked = service::make_service(service, any_port);
  if (!asked) return fail(Code::invalid_config, "consumer " + config.name + ": " + asked.error().detail);
  return Consumer{.name = config.name,
                  .kind = config.kind,
                  .device = device,
                  .footprint = config.footprint,
                  .working = config.working,
                  .residue = config.residue,
                  .concurrency = config.concurrency,
                  .lease_only = service.type == config::ServiceType::none && !config.process,
                  .exclusive = config.exclusive,
                  .turnless = config.turnless,
                  .pinned = config.pinned,
                  .can_park = *asked && (*asked)->can_park(),
                  .can_unload = *asked && (*asked)->can_unload(),
                  .can_stop = config.process.has_value(),
                  .idle_unload = config.idle_unload,
                  .load_limit = config.load_limit,
                  .stop_limit = config.stop_limit};
}

void add_residents(World& world, ConsumerId id, const config::ConsumerConfig& config) {
  if (world.registry[id].spec.lease_only) return;
  const auto footprint = [&](Bytes own) { return own > Bytes{} ? own : config.footprint; };
  if (!has_several_ai_models(config.service)) {
    Bytes largest = config.footprint;  // whichever of them it serves
    for (const auto& [name, own] : config.ai_models) largest = std::max(largest, own);
    add_resident(world.registry, id, "", largest);
    return;
  }
  for (const auto& [name, own] : config.ai_models)
    add_resident(world.registry, id, service::canonical_name(config.service.type, name), footprint(own));
}

Limits limits_of(const config::Config& config) {
  return {.max_queue = config.limits.max_queue,
          .wait_limit = config.limits.wait_limit,
          .room_limit = config.limits.room_limit};
}

}  // namespace

bool has_several_ai_models(const config::ServiceConfig& service) {
  return service.type == config::ServiceType::ollama ||
         (service.type == config::ServiceType::llama_server && service.router);
}

Result<Setup> set_up(const config::Config& config, const std::vector<gpu::DeviceInfo>& found) {
  Setup setup;
  setup.world.limits = limits_of(config);
  if (const auto added = add_devices(setup, config, found); !added) return std::unexpected(added.error());
  for (const config::ConsumerConfig& consumer : config.consumers) {
    const auto device = device_of(setup.world, consumer);
    if (!device) return std::unexpected(device.error());
    auto seen = as_the_core_sees_it(consumer, *device);
    if (!seen) return std::unexpected(seen.error());
    const ConsumerId id = add_consumer(setup.world.registry, std::move(*seen));
    add_residents(setup.world, id, consumer);
    setup.consumers.push_back(consumer);
  }
  return setup;
}

}  // namespace mgpu::engine
