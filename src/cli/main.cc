// The program `mgpu`: the command line, and the daemon that `mgpu serve` runs.
#include <fmt/format.h>

#include "cli/commands.h"
#include "cli/config_command.h"
#include "cli/exit_codes.h"

#if __has_include("daemon/daemon.h")
#include "daemon/daemon.h"
#endif

namespace {

int serve(const mgpu::cli::ServeOptions& options) {
#if __has_include("daemon/daemon.h")
  return mgpu::daemon::serve({.config = mgpu::cli::config_path(options.config),
                              .listen = options.listen,
                              .simulated = options.simulated});
#else
  fmt::print(stderr, "mgpu: this build has no daemon ({})\n", mgpu::cli::config_path(options.config));
  return mgpu::cli::kFailed;
#endif
}

}  // namespace

int main(int argc, char** argv) { return mgpu::cli::main(argc, argv, serve); }
