#include "machine_run.h"

#include <cstdlib>
#include <stdexcept>

#include "base/assert.h"

#include "replay/replay.h"

namespace mgpu::sim {
namespace {

// A fixed seed, so that the test result is reproducible. Other cases: RC_PARAMS="seed=7 max_success=100000".
[[maybe_unused]] const int kRcParamsSet = setenv("RC_PARAMS", "seed=1 max_success=1000", 0);

}  // namespace

MachineRun run_machine(const TestMachine& test_machine, const std::vector<TestRequest>& requests,
                       const std::vector<RepeatingClients>& repeating, Duration horizon,
                       const StepObserver& on_step) {
  set_assertion_handler([](const char* invariant) { throw std::runtime_error(invariant); });
  MachineRun run{.test_machine = test_machine, .machine = to_machine(test_machine)};
  const replay::Workload workload = to_workload(test_machine, run.machine, requests, repeating, horizon);
  run.outcome = replay::replay(run.machine, workload, [&](World& world, const Event& event) {
    Effects effects = run.recorder(world, event);
    if (on_step) on_step(world);
    return effects;
  });
  return run;
}

}  // namespace mgpu::sim
