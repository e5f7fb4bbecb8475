// The simulator: a random machine (devices, consumers, fault rates) drawn from a seed. Services load, work,
// fail, hang, ignore stops and free memory late or partly; foreign programs take memory; clients arrive and
// disconnect. Time is virtual. The same seed gives the same simulation.
#pragma once

#include <cstdint>
#include <optional>

#include "scenario.h"

namespace mgpu::sim {

struct SimulationResult {
  Scenario scenario{};  // all events that were passed to the core
  std::optional<ScenarioFailure> failure{};
  std::uint64_t fingerprint = 0;  // hash of all effects
  std::uint64_t grants = 0;
  std::uint64_t refusals = 0;
  std::uint64_t loads = 0;
  std::uint64_t evictions = 0;
  std::uint64_t out_of_memory = 0;  // allocations that failed because foreign memory had grown
};

SimulationResult run_simulation(std::uint64_t seed);

}  // namespace mgpu::sim
