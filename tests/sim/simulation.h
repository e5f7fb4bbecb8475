// One simulated life: a random house (devices, consumers, faults) drawn from a seed, services that load,
// work, fail, hang, ignore stop, free late or only partly, foreign programs that take memory, clients that
// come and vanish. Time is virtual. The same seed gives the same life.
#pragma once

#include <cstdint>
#include <optional>

#include "scenario.h"

namespace mgpu::sim {

struct SimulationResult {
  Scenario scenario{};  // everything that was fed to the core
  std::optional<ScenarioFailure> failure{};
  std::uint64_t fingerprint = 0;  // of all effects
  std::uint64_t grants = 0;
  std::uint64_t refusals = 0;
  std::uint64_t loads = 0;
  std::uint64_t evictions = 0;
  std::uint64_t out_of_memory =
      0;  // allocations that the simulated driver refused, where foreign growth was to blame
};

SimulationResult run_simulation(std::uint64_t seed);

}  // namespace mgpu::sim
