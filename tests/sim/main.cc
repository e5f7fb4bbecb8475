// mgpu-sim: runs the simulator for many seeds. A failure is shrunk and printed as a scenario, which can be
// kept in tests/sim/regressions.
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <sstream>

#include <CLI/CLI.hpp>

#include "simulation.h"

namespace {

int replay_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  const auto failure = mgpu::sim::replay_scenario(mgpu::sim::from_text(text.str()));
  std::cout << path << ": " << (failure ? "FAILED: " + failure->message : "ok") << '\n';
  return failure ? 1 : 0;
}

int report_failure(std::uint64_t seed, const mgpu::sim::SimulationResult& result) {
  std::cout << "seed " << seed << " FAILED after " << result.failure->event_count
            << " events: " << result.failure->message << '\n';
  const auto replayed = mgpu::sim::replay_scenario(result.scenario);
  if (!replayed) {
    std::cout
        << "(the events alone do not reproduce this failure, so it can't be shrunk; run --seeds 1 --from "
        << seed << ")\n# the events until then:\n"
        << to_text(result.scenario);
    return 1;
  }
  std::cout << "# shrunk; keep it as tests/sim/regressions/NAME.scenario\n# " << replayed->message << '\n'
            << to_text(mgpu::sim::shrink_scenario(result.scenario, *replayed));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app{"Simulates the scheduler on random machines and checks every invariant after every step."};
  std::uint64_t seeds = 1000;
  std::uint64_t from = 1;
  std::string scenario;
  app.add_option("--seeds", seeds, "Number of simulations")->capture_default_str();
  app.add_option("--from", from, "First seed")->capture_default_str();
  app.add_option("--replay", scenario, "Replay this scenario file instead");
  CLI11_PARSE(app, argc, argv);
  if (!scenario.empty()) return replay_file(scenario);

  const auto start = std::chrono::steady_clock::now();
  std::uint64_t events = 0, grants = 0, refusals = 0, loads = 0, evictions = 0, out_of_memory = 0;
  for (std::uint64_t seed = from; seed < from + seeds; ++seed) {
    const mgpu::sim::SimulationResult result = mgpu::sim::run_simulation(seed);
    if (result.failure) return report_failure(seed, result);
    events += result.scenario.events.size(), grants += result.grants, refusals += result.refusals;
    loads += result.loads, evictions += result.evictions, out_of_memory += result.out_of_memory;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  std::cout << seeds << " lives from seed " << from << " in " << took.count() << " s: " << events
            << " events, " << grants << " grants, " << refusals << " refusals, " << loads << " loads, "
            << evictions << " evictions; no invariant broken; " << out_of_memory
            << " allocations refused, all of them after foreign memory grew\n";
  return 0;
}
