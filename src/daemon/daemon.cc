#include "daemon/daemon.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>
#include <sys/prctl.h>

#include "daemon/devices.h"
#include "daemon/log.h"
#include "daemon/log_lines.h"
#include "daemon/open_store.h"
#include "daemon/request_dispatch.h"
#include "daemon/simulated_gpu.h"
#include "runner/child_reaper.h"
#include "runner/descriptor_limit.h"

namespace mgpu::daemon {
namespace {

namespace asio = boost::asio;

constexpr int kExitStartFailed = 2;
constexpr int kExitForced = 1;
constexpr std::chrono::seconds kForcedExitLimit{5};  // from the second signal to the end, at most

int refuse_to_start(Log& log, const std::string& why) {
  log.print_error("mgpu: " + why);
  return kExitStartFailed;
}

// What would end us and is no reason to: a log that nobody reads any more, a closed terminal, a file that may
// not grow. What we start gets the defaults back (runner/spawn).
void ignore_signals() {
  for (const int number : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ}) std::signal(number, SIG_IGN);
}

// As many as there are descriptors for: of each connection its socket, one to a service, and a file for a
// body that is too large for memory; of each consumer its output, its log, its pidfd, and what is asked of
// it.
std::uint32_t connection_limit(const config::Config& config, std::uint64_t descriptors) {
  constexpr std::uint64_t kOwnDescriptors = 64, kPerConsumer = 6, kPerConnection = 3, kMinConnections = 16;
  const std::uint64_t taken = kOwnDescriptors + kPerConsumer * config.consumers.size();
  const std::uint64_t fit = (descriptors > taken ? descriptors - taken : 0) / kPerConnection;
  const std::uint64_t wanted = config.limits.max_connections;
  if (fit >= wanted) return config.limits.max_connections;
  const std::uint64_t held = std::min(wanted, std::max(fit, kMinConnections));
  spdlog::warn(
      "limits.max_connections is {} instead of {}: only {} files may be open at once (LimitNOFILE=, "
      "ulimit -Hn)",
      held, wanted, descriptors);
  return static_cast<std::uint32_t>(held);
}

http::ServerOptions server_options(const config::Config& config, std::uint64_t descriptors) {
  return {.listen = config.listen,
          .max_connections = connection_limit(config, descriptors),
          .connections_per_address = config.limits.connections_per_address,
          .max_header = config.limits.max_header,
          .max_body = config.limits.max_body,
          .stall_limit = config.limits.stall_limit,
          .warn = [](const std::string& what) { spdlog::warn("{}", what); }};
}

std::string ready_line(const config::Config& config, const http::Server& server,
                       const engine::Engine& engine) {
  const std::string host = config.listen.substr(0, config.listen.rfind(':'));
  std::string line = fmt::format("mgpu: listening on http://{}:{}", host, server.port());
  const auto& devices = engine.devices();
  for (std::size_t i = 0; i < devices.size(); ++i)
    line += fmt::format(", {} {} {}{}", engine.world().registry.devices[i].name, devices[i].name,
                        to_string(devices[i].total), devices[i].simulated ? " (simulated)" : "");
  return line;
}

// The first signal drains; the second stops at once.
//
// Signals are heard on a thread of their own, so that a strand that is held up keeps nobody from being heard;
// and whatever hangs, the process is over kForcedExitLimit after the second.
class ShutdownController {
 public:
  explicit ShutdownController(Log& log) : log_(log) {}
  ShutdownController(const ShutdownController&) = delete;
  ShutdownController& operator=(const ShutdownController&) = delete;

  // By now all else is gone. Where the driver hangs, a thread of ours is in its library, and what libraries
  // do at exit would wait for it.
  ~ShutdownController() {
    if (!thread_.joinable()) return;
    if (driver_hung_) {
      spdlog::warn("the driver hangs: ending without it");
      exit_now(exit_code_);
    }
    signal_loop_.stop();
    thread_.join();
  }

  void listen_for_signals(asio::io_context& io, engine::Engine& engine) {
    io_ = &io;
    engine_ = &engine;
    signals_.add(SIGTERM);
    signals_.add(SIGINT);
    await_shutdown_signal();
    thread_ = std::thread([this] { signal_loop_.run(); });
  }
  // From now on signals reach the strand no more, which is about to go.
  void detach_strand() {
    const std::lock_guard lock(mutex_);
    io_ = nullptr;
  }
  void mark_driver_hung() { driver_hung_ = true; }
  int exit_code() const { return exit_code_; }

 private:
  [[noreturn]] void exit_now(int code) {
    log_.close();
    std::_Exit(code);
  }

  void await_shutdown_signal() {
    signals_.async_wait([this](boost::system::error_code cancelled, int) {
      if (cancelled) return;
      if (std::exchange(draining_, true)) return stop_at_once();
      post_to_strand([this](asio::io_context& io) {
        spdlog::info("draining: no new work; again to stop at once");
        asio::co_spawn(io, engine_->drain(), [&io](const std::exception_ptr&) { io.stop(); });
      });
      await_shutdown_signal();
    });
  }

  void stop_at_once() {
    exit_code_ = kExitForced;
    post_to_strand([](asio::io_context& io) {
      spdlog::warn("told twice: stopping at once");
      io.stop();
    });
    forced_exit_timer_.expires_after(kForcedExitLimit);
    forced_exit_timer_.async_wait([](boost::system::error_code cancelled) {
      if (!cancelled) std::_Exit(kExitForced);
    });
  }

  void post_to_strand(std::function<void(asio::io_context&)> action) {
    const std::lock_guard lock(mutex_);
    if (io_ != nullptr) asio::post(*io_, [io = io_, act = std::move(action)] { act(*io); });
  }

  Log& log_;

  // Of the thread alone.
  asio::io_context signal_loop_{1};
  asio::signal_set signals_{signal_loop_};
  asio::steady_timer forced_exit_timer_{signal_loop_};
  bool draining_ = false;

  std::mutex mutex_;  // guards io_
  asio::io_context* io_ = nullptr;
  engine::Engine* engine_ = nullptr;
  std::atomic<int> exit_code_ = 0;
  bool driver_hung_ = false;
  std::thread thread_;
};

// A closed terminal is no reason to end.
class SighupLogger {
 public:
  explicit SighupLogger(asio::io_context& io) : signals_(io, SIGHUP) { await_sighup(); }

 private:
  void await_sighup() {
    signals_.async_wait([this](boost::system::error_code cancelled, int) {
      if (cancelled) return;
      spdlog::info("SIGHUP: the configuration is read at start only; restart to reload");
      await_sighup();
    });
  }

  asio::signal_set signals_;
};

// Connections end before what their coroutines refer to does. Whoever's work was cut off is told so first:
// that takes some steps of its coroutine, and is over once nothing happens any more.
void close_connections(asio::io_context& io, http::Server& server) {
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(2);
  io.restart();
  while (io.run_one_for(std::chrono::milliseconds(20)) > 0 && std::chrono::steady_clock::now() < until) {
  }
  server.close();
  io.restart();
  while (server.connection_count() > 0 && std::chrono::steady_clock::now() < until)
    io.run_one_for(std::chrono::milliseconds(50));
  io.restart();
  io.poll();
}

}  // namespace

int serve(const ServeOptions& options) {
  ignore_signals();
  Log log;
  const std::uint64_t descriptors = runner::raise_descriptor_limit();

  // The configuration first: nothing is started unless all of it is right.
  config::ParseResult parsed = config::parse_file(options.config, config::CheckScope::text_and_files);
  for (const config::Diagnostic& complaint : parsed.diagnostics)
    log.print_error(config::to_string(complaint));
  if (!parsed.diagnostics.empty()) return kExitStartFailed;
  config::Config& config = parsed.config;
  if (!options.listen.empty()) config.listen = options.listen;

  ShutdownController shutdown_controller(log);  // the last to go, but for the log

  // The devices, real or simulated.
  std::optional<SimulatedGpu> simulated;
  if (!options.simulated.empty()) {
    auto made = SimulatedGpu::create(options.simulated);
    if (!made) return refuse_to_start(log, made.error().detail);
    config.gpu.provider = config::GpuProvider::nvml;  // and its library is in the environment
    simulated.emplace(std::move(*made));
  }
  auto provider = open_devices(config.gpu);
  if (!provider)
    return refuse_to_start(log,
                           provider.error().detail + "\nTo try without a GPU: mgpu serve --simulated 24GiB");

  // Processes that our consumers leave behind become our children, so that none of them outlives us unseen.
  ::prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);

  // What earlier lives left. It outlives the engine, which writes into it to the last.
  const auto store = open_store(config);
  if (!store) return refuse_to_start(log, store.error().detail);

  // The engine, and the two planes over it.
  asio::io_context io(1);
  runner::ChildReaper::from_executor(io.get_executor()).start_reaping_orphans(io.get_executor());
  auto engine = engine::Engine::create(io, config, **provider, store->store.get());
  if (!engine) return refuse_to_start(log, engine.error().detail);
  engine::Engine& running = **engine;
  AttributionWarning attribution_warning;
  running.journal().subscribe([&running, &attribution_warning](const engine::JournalEntry& entry) {
    const Registry& registry = running.world().registry;
    for (const auto& line :
         {format_log_line(entry, registry), attribution_warning.warning_if_new(entry, registry)})
      if (line) spdlog::log(line->warning ? spdlog::level::warn : spdlog::level::info, line->text);
  });
  http::Client client(io.get_executor());
  gateway::Gateway gateway(running, client);
  api::Api api(running, io.get_executor(), MGPU_VERSION, [&log] { return log.dropped(); });

  // The door is taken before anything is touched, so that a second daemon neither adopts nor ends a process,
  // and opens last.
  auto server = http::Server::listen(io, server_options(config, descriptors), [&](http::Exchange& exchange) {
    return dispatch_request(api, gateway, exchange);
  });
  if (!server) return refuse_to_start(log, server.error().detail);

  // What an earlier life left running is adopted or ended before anybody can ask for anything.
  if (!store->warning.empty()) spdlog::warn("{}", store->warning);
  asio::co_spawn(io, running.recover(), [&io](const std::exception_ptr&) { io.stop(); });
  io.run();
  io.restart();
  (*server)->start_accepting();
  running.start();
  shutdown_controller.listen_for_signals(io, running);
  const SighupLogger sighup_logger(io);
  if (simulated) log.print("mgpu: the GPU is simulated: no real one is used");
  log.print(ready_line(config, **server, running));

  io.run();
  close_connections(io, **server);
  shutdown_controller.detach_strand();
  if (!running.stop_sampling()) {
    shutdown_controller.mark_driver_hung();
    // A thread of ours is in it, and stays there.
    [[maybe_unused]] const gpu::Provider* left_behind = provider->release();
  }
  return shutdown_controller.exit_code();
}

}  // namespace mgpu::daemon
