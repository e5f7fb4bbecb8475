#include "daemon/daemon.h"

#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include "daemon/connection_limit.h"
#include "daemon/devices.h"
#include "daemon/log.h"
#include "daemon/log_lines.h"
#include "daemon/open_store.h"
#include "daemon/request_dispatch.h"
#include "daemon/shutdown.h"
#include "daemon/signals.h"
#include "daemon/simulated_gpu.h"
#include "runner/child_reaper.h"
#include "runner/descriptor_limit.h"

namespace mgpu::daemon {
namespace {

namespace asio = boost::asio;

constexpr int kExitStartFailed = 2;

int fail_start(Log& log, const Error& error) {
  log.print_error("mgpu: " + error.detail);
  return kExitStartFailed;
}

// None: the file has errors; they are printed.
std::optional<config::Config> read_config(const ServeOptions& options, Log& log) {
  config::ParseResult parsed = config::parse_file(options.config, config::CheckScope::text_and_files);
  for (const config::Diagnostic& diagnostic : parsed.diagnostics)
    log.print_error(config::to_string(diagnostic));
  if (!parsed.diagnostics.empty()) return std::nullopt;
  log.hide_values(parsed.config.environment);
  if (!options.listen.empty()) parsed.config.listen = options.listen;
  return std::move(parsed.config);
}

// None where no device is simulated. Sets `config` and the environment so that open_devices() finds the
// simulated ones.
Result<std::optional<SimulatedGpu>> create_simulated_gpu(const std::vector<Bytes>& devices,
                                                         config::GpuConfig& config) {
  if (devices.empty()) return std::nullopt;
  auto created = SimulatedGpu::create(devices);
  if (!created) return std::unexpected(created.error());
  config.provider = config::GpuProvider::nvml;
  return std::optional<SimulatedGpu>(std::move(*created));
}

// The kernel makes this process the parent of orphans of its consumers, so that they can be found and ended.
void adopt_orphans(asio::io_context& io) {
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  runner::ChildReaper::from_executor(io.get_executor()).start_reaping_orphans(io.get_executor());
}

http::ServerOptions server_options(const config::Config& config, http::Endpoint listen,
                                   std::uint64_t max_descriptors) {
  const config::LimitsConfig& limits = config.limits;
  const std::uint32_t max_connections =
      fit_connection_limit(limits.max_connections, config.consumers.size(), max_descriptors);
  if (max_connections < limits.max_connections)
    spdlog::warn(
        "limits.max_connections is {} instead of {}: only {} files may be open at once; raise the hard limit "
        "(LimitNOFILE= of the systemd unit, ulimit -Hn)",
        max_connections, limits.max_connections, max_descriptors);
  return {.listen = std::move(listen),
          .max_connections = max_connections,
          .connections_per_address = limits.connections_per_address,
          .max_header = limits.max_header,
          .max_body = limits.max_body,
          .stall_limit = limits.stall_limit,
          .warn = [](const std::string& warning) { spdlog::warn("{}", warning); }};
}

void run_recovery(asio::io_context& io, engine::Engine& engine) {
  asio::co_spawn(io, engine.recover(), [&io](const std::exception_ptr&) { io.stop(); });
  io.run();
  io.restart();
}

std::string ready_line(const http::Server& server, const engine::Engine& engine) {
  std::string line = "mgpu: listening on " + http::to_url(server.endpoint());
  const auto& devices = engine.devices();
  for (std::size_t i = 0; i < devices.size(); ++i)
    line += fmt::format(", {} {} {}{}", engine.world().registry.devices[i].name, devices[i].name,
                        to_string(devices[i].total), devices[i].simulated ? " (simulated)" : "");
  return line;
}

}  // namespace

int serve(const ServeOptions& options) {
  ignore_harmless_signals();
  Log log;
  const std::uint64_t max_descriptors = runner::raise_descriptor_limit();

  // Nothing is started unless the whole configuration is valid.
  std::optional<config::Config> config = read_config(options, log);
  if (!config) return kExitStartFailed;
  auto listen = http::parse_listen_address(config->listen);
  if (!listen) return fail_start(log, listen.error());

  // Destroyed after all that follows: where the driver hangs, its destructor ends the process.
  ShutdownController shutdown(log);

  const auto simulated_gpu = create_simulated_gpu(options.simulated, config->gpu);
  if (!simulated_gpu) return fail_start(log, simulated_gpu.error());
  auto provider = open_devices(config->gpu);
  if (!provider) return fail_start(log, provider.error());

  // Outlives the engine, which writes to it until it is destroyed.
  const auto store = open_store(*config);
  if (!store) return fail_start(log, store.error());

  asio::io_context io(1);
  adopt_orphans(io);
  const auto created = engine::Engine::create(io, *config, **provider, store->store.get());
  if (!created) return fail_start(log, created.error());
  engine::Engine& engine = **created;
  const JournalLogger journal_logger(engine);

  http::Client client(io.get_executor());
  gateway::Gateway gateway(engine, client);
  api::Api api(engine, io.get_executor(), MGPU_VERSION, [&log] { return log.dropped(); });

  // The port is taken before recovery, so that a second daemon with the same configuration fails here and
  // ends no process of the first; connections are accepted only after it.
  const auto listening = http::Server::listen(
      io, server_options(*config, std::move(*listen), max_descriptors),
      [&](http::Exchange& exchange) { return dispatch_request(engine.config(), api, gateway, exchange); });
  if (!listening) return fail_start(log, listening.error());
  http::Server& server = **listening;

  // Processes that an earlier run of the daemon left are adopted or ended before the first request is read.
  if (!store->warning.empty()) spdlog::warn("{}", store->warning);
  run_recovery(io, engine);
  server.start_accepting();
  engine.start();

  shutdown.listen_for_signals(io, engine);
  const SighupLogger sighup_logger(io);
  if (*simulated_gpu) log.print("mgpu: the GPU is simulated: no real device is used");
  log.print(ready_line(server, engine));

  io.run();  // until drained or stopped by a second signal

  close_connections(io, server);
  shutdown.detach_strand();
  if (!engine.stop_sampling()) {
    shutdown.mark_driver_hung();
    // The sampling thread still uses the provider: it must not be destroyed.
    [[maybe_unused]] const gpu::Provider* leaked = provider->release();
  }
  return shutdown.exit_code();
}

}  // namespace mgpu::daemon
