#include "lived.h"

#include <cstdlib>
#include <stdexcept>

#include "base/assert.h"

#include "replay/replay.h"

namespace mgpu::sim {
namespace {

// The same cases every time: the gate is no lottery. For others: RC_PARAMS="seed=7 max_success=100000".
[[maybe_unused]] const int kSeeded = setenv("RC_PARAMS", "seed=1 max_success=1000", 0);

}  // namespace

Lived live(const Household& household, const std::vector<Request>& requests,
           const std::vector<Regulars>& regulars, Duration horizon, const Look& look) {
  set_assertion_handler([](const char* promise) { throw std::runtime_error(promise); });
  Lived lived{.household = household, .house = built(household)};
  const replay::Workload workload = asked(household, lived.house, requests, regulars, horizon);
  lived.outcome = replay::replay(lived.house, workload, [&](World& world, const Event& event) {
    Effects effects = lived.witness(world, event);
    if (look) look(world);
    return effects;
  });
  return lived;
}

}  // namespace mgpu::sim
