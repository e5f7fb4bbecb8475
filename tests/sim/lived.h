// A household's life before a witness: what the properties of order, waiting and estimates look at.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <tuple>
#include <vector>

#include "household.h"
#include "replay/outcome.h"
#include "witness.h"

namespace mgpu::sim {

struct Lived {
  Household household{};
  replay::Machine house{};
  replay::Outcome outcome{};  // Job number n is ticket n + 1
  Witness witness{};

  const Consumer& spec_of(const Seen& seen) const { return house.world.registry[*seen.ask.consumer].spec; }
  const Member& member_of(const Seen& seen) const { return household.members[seen.ask.consumer->value]; }
  std::span<const DeviceId> devices_of(const Seen& seen) const { return mgpu::devices_of(spec_of(seen)); }
  bool meet(const Seen& one, const Seen& other) const {  // on some device
    return std::ranges::any_of(devices_of(one),
                               [&](DeviceId device) { return is_on_device(spec_of(other), device); });
  }
  Priority class_of(const Seen& seen) const { return seen.ask.priority.value_or(spec_of(seen).priority); }

  // Those of one kind may never overtake each other.
  using Kind = std::tuple<ConsumerId, Priority, std::uint32_t>;
  Kind kind_of(const Seen& seen) const { return {*seen.ask.consumer, class_of(seen), seen.ask.user}; }
};

// What a property wants to see itself, after each step.
using Look = std::function<void(const World& world)>;

// Regulars come again until `horizon`; then everybody is served to the end. A promise of the core that breaks
// is thrown, so that rapidcheck shrinks what broke it.
Lived live(const Household& household, const std::vector<Request>& requests,
           const std::vector<Regulars>& regulars, Duration horizon, const Look& look = nullptr);

}  // namespace mgpu::sim
