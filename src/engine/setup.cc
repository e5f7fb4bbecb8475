#include "engine/setup.h"

#include <algorithm>
#include <optional>

#include "config/services.h"
#include "runner/command.h"
#include "runner/cuda_checkpoint.h"
#include "runner/port.h"
#include "service/service.h"

namespace mgpu::engine {
namespace {

Result<gpu::DeviceInfo> find_device(const config::DeviceConfig& wanted, std::size_t position,
                                    const std::vector<gpu::DeviceInfo>& found) {
  if (wanted.uuid.empty() && !wanted.index && position < found.size()) return found[position];
  const auto matches = [&](const gpu::DeviceInfo& info) {
    if (!wanted.uuid.empty()) return info.uuid == wanted.uuid;
    return info.index == wanted.index.value_or(static_cast<std::uint32_t>(position));
  };
  const auto device = std::ranges::find_if(found, matches);
  if (device != found.end()) return *device;
  const std::string how =
      wanted.uuid.empty() ? "index " + std::to_string(wanted.index.value_or(static_cast<unsigned>(position)))
                          : "UUID " + wanted.uuid;
  return fail(ErrorCode::invalid_config, "device " + wanted.id + ": the driver has no device with " + how +
                                             " (it has " + std::to_string(found.size()) + ")");
}

Result<void> add_devices(Setup& setup, const config::Config& config,
                         const std::vector<gpu::DeviceInfo>& found) {
  if (found.empty()) return fail(ErrorCode::invalid_config, "the driver has no device");
  std::vector<config::DeviceConfig> wanted = config.devices;
  if (wanted.empty())
    for (const gpu::DeviceInfo& info : found) wanted.push_back({.index = info.index});
  std::vector<std::string> names;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (wanted[i].id.empty()) wanted[i].id = "gpu" + std::to_string(i);
    names.push_back(wanted[i].id);
  }
  setup.ids.devices = config::assign_ids({}, names);
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    const auto info = find_device(wanted[i], i, found);
    if (!info) return std::unexpected(info.error());
    add_device(setup.world,
               {.name = wanted[i].id, .capacity = wanted[i].capacity, .reserve = wanted[i].reserve});
    setup.devices.push_back(*info);
  }
  return {};
}

// The devices that it may use, the preferred one first; never empty.
Result<std::vector<DeviceId>> wanted_devices(const config::IdTable& ids,
                                             const config::ConsumerConfig& consumer) {
  std::vector<std::string> names = consumer.devices;
  if (names.empty() && !consumer.device.empty()) names.push_back(consumer.device);
  if (names.empty()) return std::vector{DeviceId{0}};
  std::vector<DeviceId> devices;
  for (const std::string& name : names) {
    const auto id = config::find_id(ids.devices, name);
    if (!id)
      return fail(ErrorCode::invalid_config, "consumer " + consumer.name + ": there is no device " + name);
    devices.push_back(DeviceId{*id});
  }
  return devices;
}

// A follower may be defined after the consumer in the file.
std::vector<ConsumerId> followers_of(const config::IdTable& ids, const config::ConsumerConfig& consumer) {
  std::vector<ConsumerId> followers;
  for (const std::string& name : consumer.followed_by)
    if (const auto id = config::find_id(ids.consumers, name)) followers.push_back(ConsumerId{*id});
  return followers;
}

// Error: invalid_config (the URL of its service).
Result<Consumer> make_consumer_spec(const config::ConsumerConfig& config,
                                    const std::vector<DeviceId>& devices) {
  const config::ServiceConfig& service = config.service;
  const auto invalid = [&](const Error& error) {
    return fail(ErrorCode::invalid_config, "consumer " + config.name + ": " + error.detail);
  };
  http::Endpoint endpoint;
  if (service.type != config::ServiceType::none) {
    const std::uint16_t any_port = 1;  // the service's capabilities do not depend on its port
    auto resolved = runner::resolve_url(service.url, any_port);
    if (!resolved) return invalid(resolved.error());
    endpoint = *std::move(resolved);
  }
  const auto service_instance = service::make_service(service, std::move(endpoint));
  if (!service_instance) return invalid(service_instance.error());
  return Consumer{.name = config.name,
                  .kind = config.kind,
                  .device = devices.front(),
                  .devices = config.devices.empty() ? std::vector<DeviceId>{} : devices,
                  .split = config.split,
                  .footprint = config.footprint,
                  .working = config.working,
                  .residue = config.residue,
                  .footprint_declaration = config.footprint_is,
                  .concurrency = config.concurrency,
                  .priority = config.priority,
                  .weight = config.weight,
                  .max_queue = config.max_queue,
                  .max_turn = config.max_turn,
                  .reserved = config.reserved,
                  .lease_only = service.type == config::ServiceType::none && config::is_external(config),
                  .exclusive = config.exclusive,
                  .turnless = config.turnless,
                  .pinned = config.pinned,
                  .can_park = config.park_method == config::ParkMethod::cuda_checkpoint ||
                              (*service_instance && (*service_instance)->can_park()),
                  .can_unload = *service_instance && (*service_instance)->can_unload(),
                  .can_stop = !config::is_external(config),
                  .idle_unload = config.idle_unload,
                  .max_keep_alive = config.max_keep_alive.value_or(config.idle_unload),
                  .load_limit = config.load_limit,
                  .stop_limit = config.stop_limit};
}

void add_residents(World& world, ConsumerId id, const config::ConsumerConfig& config) {
  if (world.registry[id].spec.lease_only) return;
  const auto footprint = [&](Bytes own) { return own > Bytes{} ? own : config.footprint; };
  if (!has_several_ai_models(config.service)) {
    Bytes largest = config.footprint;  // any of them may be loaded
    for (const auto& [name, own] : config.ai_models) largest = std::max(largest, own);
    add_resident(world.registry, id, "", largest);
    return;
  }
  for (const auto& [name, own] : config.ai_models)
    add_resident(world.registry, id, service::canonical_name(config.service.type, name), footprint(own));
}

// The path of the utility, if any consumer requires it: empty where none does, or where the driver parks by
// itself. Error: invalid_config.
Result<std::string> find_cuda_checkpoint(const config::Config& config) {
  const config::ConsumerConfig* parking = nullptr;
  for (const config::ConsumerConfig& consumer : config.consumers) {
    if (consumer.park_method != config::ParkMethod::cuda_checkpoint) continue;
    if (has_several_ai_models(consumer.service))
      return fail(ErrorCode::invalid_config,
                  "consumer " + consumer.name +
                      ": cuda-checkpoint parks whole processes, and can't tell its AI models apart");
    parking = &consumer;
  }
  if (parking == nullptr) return std::string{};
  const auto driver = runner::find_driver_checkpoint();
  if (driver) return std::string{};
  if (const auto utility = runner::find_executable(config.cuda_checkpoint)) return *utility;
  return fail(ErrorCode::invalid_config, "consumer " + parking->name + " has park: cuda-checkpoint, but " +
                                             driver.error().detail + ", and there is no " +
                                             config.cuda_checkpoint +
                                             " (NVIDIA's utility; say where it is with cuda_checkpoint)");
}

SchedulingLimits limits_of(const config::Config& config) {
  return {.max_queue = config.limits.max_queue,
          .wait_limit = config.limits.wait_limit,
          .room_limit = config.limits.room_limit,
          .reading_age = config.limits.reading_age,
          .policy = config.policy == "affinity" ? Policy::affinity : Policy::fifo,
          .overtake_limit = config.limits.overtake_limit,
          .ageing = config.limits.ageing,
          .load_ahead = config.load_ahead};
}

}  // namespace

Bytes total_device_memory(const std::vector<gpu::DeviceInfo>& devices) {
  Bytes sum{};
  for (const gpu::DeviceInfo& device : devices) sum += device.total;
  return sum;
}

Result<Setup> make_setup(const config::Config& config, const std::vector<gpu::DeviceInfo>& found) {
  Setup setup;
  setup.world.limits = limits_of(config);
  setup.world.registry.park_memory = config.limits.park_memory;
  if (const auto added = add_devices(setup, config, found); !added) return std::unexpected(added.error());
  std::vector<std::string> names;
  for (const config::ConsumerConfig& consumer : config.consumers) names.push_back(consumer.name);
  setup.ids.consumers = config::assign_ids({}, names);
  for (const config::ConsumerConfig& consumer : config.consumers) {
    const auto devices = wanted_devices(setup.ids, consumer);
    if (!devices) return std::unexpected(devices.error());
    auto spec = make_consumer_spec(consumer, *devices);
    if (!spec) return std::unexpected(spec.error());
    spec->followed_by = followers_of(setup.ids, consumer);
    const ConsumerId id = add_consumer(setup.world.registry, std::move(*spec));
    add_residents(setup.world, id, consumer);
  }
  auto checkpoint = find_cuda_checkpoint(config);
  if (!checkpoint) return std::unexpected(checkpoint.error());
  setup.cuda_checkpoint = std::move(*checkpoint);
  return setup;
}

}  // namespace mgpu::engine
