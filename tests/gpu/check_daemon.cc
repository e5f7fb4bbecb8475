// The steps with the real daemon: it evicts and loads, sees what is not its own, and parks.
#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <mutex>
#include <random>
#include <thread>

#include <unistd.h>

#include "tests/gpu/clock.h"
#include "tests/gpu/daemon_run.h"
#include "tests/gpu/nvml_view.h"
#include "tests/gpu/steps.h"

namespace mgpu::gpu_check {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kContext =
    600 * kMiB;  // expected of a service's context; the daemon learns the true one
constexpr int kRunMs = 150;
// Of the device's free memory: two or three fit at a time, and all together need 1.8 of it.
constexpr std::array<double, 5> kParts{0.5, 0.4, 0.35, 0.3, 0.25};

std::uint64_t free_bytes(const NvmlView& nvml) {
  const gpu::RawReading reading = nvml.read();
  return static_cast<std::uint64_t>((reading.total - reading.used - reading.driver_reserved).count);
}

std::uint64_t part_of(std::uint64_t bytes, double part) {
  return static_cast<std::uint64_t>(static_cast<double>(bytes) * part) / kMiB * kMiB;
}

struct LoadOutcome {
  std::mutex mutex{};  // guards the rest
  std::vector<double> latencies{};
  std::size_t failed = 0;
  std::string first_failure{};
};

// Random consumers, one request after the other, until the time is over.
void send_requests(const DaemonRun& daemon, const std::vector<std::string>& names, double until,
                   unsigned seed, LoadOutcome& outcome) {
  std::minstd_rand random(seed);
  while (now_ms() < until) {
    const std::string& name = names[random() % names.size()];
    const double start = now_ms();
    const Reply reply = daemon.request("POST", "/c/" + name + "/work", "{}");
    const std::lock_guard lock(outcome.mutex);
    if (reply.status == 200) {
      outcome.latencies.push_back(now_ms() - start);
    } else {
      ++outcome.failed;
      if (outcome.first_failure.empty())
        outcome.first_failure = name + ": " + std::to_string(reply.status) + " " + reply.body.substr(0, 200);
    }
  }
}

// Until the status' value fulfils the condition; the milliseconds that it took, negative after the limit.
double wait_for_memory(const DaemonRun& daemon, const std::string& key,
                       const std::function<bool(std::uint64_t)>& seen, double limit_ms) {
  const double start = now_ms();
  while (now_ms() - start < limit_ms) {
    if (seen(daemon.memory(key))) return now_ms() - start;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return -1;
}

void add_seen(StepResult& result, const std::string& what, double milliseconds) {
  if (milliseconds >= 0) return result.add(what, milliseconds, "ms");
  result.add(what, "never");
  result.fail(what + ": never seen");
}

}  // namespace

StepResult check_daemon_load(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t free = free_bytes(*nvml);
  json consumers = json::object();
  std::vector<std::string> names;
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    names.push_back("service" + std::to_string(i + 1));
    const std::uint64_t working = part_of(free, 0.02);
    consumers[names.back()] =
        serve_consumer(options.folder, part_of(free, kParts[i]) - kContext, working, kRunMs, kContext);
    result.add(names.back() + " holds", to_mib(part_of(free, kParts[i]) - kContext), "MiB");
  }
  result.add("device memory free before", to_mib(free), "MiB");
  auto started = DaemonRun::start(options.folder, "daemon", daemon_config(nvml->device().uuid, consumers));
  if (!started) return result.fail(started.error().detail), result;
  DaemonRun& daemon = **started;
  LoadOutcome outcome;
  const double seconds = options.quick ? 4 : 60;
  {
    const double until = now_ms() + seconds * 1e3;
    std::vector<std::jthread> clients;
    for (unsigned seed = 1; seed <= 6; ++seed)
      clients.emplace_back([&, seed] { send_requests(daemon, names, until, seed, outcome); });
  }
  result.add("seconds of load from six clients", seconds, "s");
  result.add("requests answered", outcome.latencies.size());
  result.add("requests that failed", outcome.failed);
  result.add("loads", daemon.count_events("load_ended"));
  result.add("evictions", daemon.count_events("evicted"));
  result.add("evictions that failed", daemon.count_events("eviction_failed"));
  result.add("refused allocations", count_refusals(options.folder));
  add_times(result, "a request", outcome.latencies);
  result.add("device memory used at the most by consumers, now", to_mib(daemon.memory("measured_bytes")),
             "MiB");
  const json status = daemon.status();
  if (status.is_object() && !status["devices"].empty())
    result.add("attribution", status["devices"][0]["memory"].value("attribution", "unknown"));
  if (!daemon.stop()) result.fail("the daemon did not end");
  if (count_refusals(options.folder) > 0) result.fail("an allocation was refused");
  if (outcome.failed > 0) result.fail("a request failed: " + outcome.first_failure);
  if (outcome.latencies.empty()) result.fail("no request was answered");
  const double after = nvml->wait_until(
      [&](const gpu::RawReading& r) {
        return static_cast<std::uint64_t>((r.total - r.used - r.driver_reserved).count) + 64 * kMiB >= free;
      },
      options.free_limit_ms);
  result.add("all memory is back after the daemon's end", after >= 0);
  return result;
}

StepResult check_foreign(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t free = free_bytes(*nvml);
  const json consumers{{"service", serve_consumer(options.folder, part_of(free, 0.3), 0, 10, kContext)}};
  auto started = DaemonRun::start(options.folder, "foreign", daemon_config(nvml->device().uuid, consumers));
  if (!started) return result.fail(started.error().detail), result;
  DaemonRun& daemon = **started;
  if (const Reply reply = daemon.request("POST", "/c/service/work", "{}"); reply.status != 200)
    return result.fail("the service was not loaded: " + reply.body.substr(0, 200)), result;
  result.add("measured of the consumer", to_mib(daemon.memory("measured_bytes")), "MiB");
  const std::uint64_t before = daemon.memory("foreign_bytes");
  result.add("foreign before", to_mib(before), "MiB");
  const std::uint64_t bytes = part_of(free, 0.2);
  ChildProcess holder({program_folder() + "/mgpu-gpu-check", "hold", std::to_string(bytes)});
  const auto ready = holder.wait_for_line("", 30'000);
  if (!ready || !ready->starts_with("ready")) return result.fail(ready.value_or("not ready in time")), result;
  result.add("a stranger takes", to_mib(bytes), "MiB");
  add_seen(result, "the daemon shows it as foreign after",
           wait_for_memory(
               daemon, "foreign_bytes", [&](std::uint64_t now) { return now >= before + bytes; },
               options.free_limit_ms));
  result.add("foreign with the stranger", to_mib(daemon.memory("foreign_bytes")), "MiB");
  holder.signal(SIGKILL);
  add_seen(result, "after its kill -9 the daemon no longer shows it after",
           wait_for_memory(
               daemon, "foreign_bytes", [&](std::uint64_t now) { return now <= before + 64 * kMiB; },
               options.free_limit_ms));
  return result;
}

StepResult check_daemon_parking(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t bytes =
      options.quick ? 256 * kMiB : std::min<std::uint64_t>(part_of(free_bytes(*nvml), 0.3), 4096 * kMiB);
  json consumer = serve_consumer(options.folder, bytes, 0, 10, kContext);
  consumer["park"] = "cuda-checkpoint";
  consumer["stop_limit"] = "20s";
  auto started = DaemonRun::start(options.folder, "parking",
                                  daemon_config(nvml->device().uuid, {{"service", consumer}}));
  if (!started) return result.skip(started.error().detail), result;
  DaemonRun& daemon = **started;
  double start = now_ms();
  if (const Reply reply = daemon.request("POST", "/c/service/work", "{}"); reply.status != 200)
    return result.fail("the service was not loaded: " + reply.body.substr(0, 200)), result;
  result.add("the service holds", to_mib(bytes), "MiB");
  result.add("first request, with the load", now_ms() - start, "ms");
  start = now_ms();
  const Reply parked = daemon.request("POST", "/v1/consumers/service/park");
  result.add("park", now_ms() - start, "ms");
  const std::string state = daemon.state_of("service");
  result.add("state afterwards", state);
  result.add("device memory left to it", to_mib(daemon.memory("measured_bytes")), "MiB");
  if (state != "parked") return result.fail("not parked: " + parked.body.substr(0, 200)), result;
  start = now_ms();
  const Reply resumed = daemon.request("POST", "/c/service/work", "{}");
  result.add("next request, with the return", now_ms() - start, "ms");
  if (resumed.status != 200) result.fail("it did not come back: " + resumed.body.substr(0, 200));
  return result;
}

}  // namespace mgpu::gpu_check
