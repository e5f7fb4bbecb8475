// A consumer "chat" with one resident of 8 GiB + 1 GiB working on a device of 24 GiB, for tests of what is
// learned.
#pragma once

#include "registry/cost_learning.h"

namespace mgpu {

struct LearningFixture {
  Registry registry{.devices = {{.name = "gpu0"}},
                    .readings = {{.taken_at = {60'000'000}, .total = kGiB * 24}},
                    .bare_reserved = {{}}};
  ConsumerId chat{};
  ResidentId model{};

  explicit LearningFixture(FootprintDeclaration declared = FootprintDeclaration::guess)
      : chat(add_consumer(
            registry,
            {.name = "chat", .footprint = kGiB * 8, .working = kGiB, .footprint_declaration = declared})),
        model(add_resident(registry, chat, "", kGiB * 8)) {}

  ConsumerState& consumer() { return registry[chat]; }
  Resident& resident() { return registry[model]; }
  void load(Instant from = {0}, Instant to = {5'000'000}, LoadSource source = LoadSource::cold) {
    resident().state = Residency::loading;
    learn_load_start(registry, model, from);
    resident().state = Residency::warm;
    learn_load_end(registry, model, to, source);
  }
  // A reading of the consumer, while as many jobs run as it has leases.
  void measure(Bytes bytes, Instant taken_at = {60'000'000}) {
    consumer().primary_usage.measured = bytes;
    consumer().primary_usage.jobs = consumer().running_leases;
    learn_measurement(registry, consumer(), {0}, taken_at);
    attribute_measurement(registry, consumer(), {0});
  }
  void evict(Rung rung = Rung::stop) {
    resident().transition_at = {0};
    resident().state = Residency::cold;
    learn_eviction(registry, model, {1'000'000}, rung);
  }
};

}  // namespace mgpu
