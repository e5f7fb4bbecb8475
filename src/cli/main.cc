// The program `mgpu`: the command line, the daemon, the simulation, and the daemon's helper for parking.
#include <string_view>

#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/config_command.h"
#include "cli/exit_codes.h"
#include "daemon/daemon.h"
#include "runner/checkpoint_helper.h"

#include "simulate/simulate.h"

namespace {

int serve(const mgpu::cli::ServeOptions& options) {
  const auto path = mgpu::cli::find_config_path(options.config);
  if (!path) return fmt::print(stderr, "mgpu: {}\n", path.error().detail), mgpu::cli::kUsage;
  return mgpu::daemon::serve({.config = *path, .listen = options.listen, .simulated = options.simulated});
}

mgpu::Result<std::string> simulate(const mgpu::cli::SimulateOptions& options) {
  return mgpu::simulate::simulate({.config = options.config,
                                   .trace = options.trace,
                                   .policies = options.policies,
                                   .settings = options.settings,
                                   .device_memory = options.device_memory,
                                   .footprints = options.footprints,
                                   .svg = options.svg,
                                   .json = options.json});
}

}  // namespace

int main(int argc, char** argv) {
  // The daemon's own helper, not a command for users: it is in no --help.
  if (argc > 1 && std::string_view(argv[1]) == mgpu::runner::kCheckpointCommand)
    return mgpu::runner::run_checkpoint_helper({argv + 2, argv + argc});
  return mgpu::cli::main(argc, argv, {.serve = serve, .simulate = simulate});
}
