// The program `mgpu`: the command line, and the daemon that `mgpu serve` runs.
#include "cli/commands.h"
#include "cli/config_command.h"
#include "daemon/daemon.h"

namespace {

int serve(const mgpu::cli::ServeOptions& options) {
  return mgpu::daemon::serve({.config = mgpu::cli::config_path(options.config),
                              .listen = options.listen,
                              .simulated = options.simulated});
}

}  // namespace

int main(int argc, char** argv) { return mgpu::cli::main(argc, argv, serve); }
