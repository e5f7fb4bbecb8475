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
#include "tests/gpu/holder.h"
#include "tests/gpu/nvml_view.h"
#include "tests/gpu/steps.h"

namespace mgpu::gpu_check {

using nlohmann::json;

namespace {

constexpr std::uint64_t kMiB = 1 << 20;
constexpr std::uint64_t kContext =
    600 * kMiB;  // expected of a service's context; the daemon learns the true one
constexpr std::uint64_t kTolerance = 64 * kMiB;  // what other programs may take or free meanwhile
constexpr int kRunMs = 150;
// Of the device's free memory: two or three fit at a time, and all together need 1.8 of it.
constexpr std::array<double, 5> kParts{0.5, 0.4, 0.35, 0.3, 0.25};

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

json five_consumers(StepResult& result, const StepOptions& options, std::uint64_t free) {
  json consumers = json::object();
  for (std::size_t i = 0; i < kParts.size(); ++i) {
    const std::string name = "service" + std::to_string(i + 1);
    const std::uint64_t bytes = part_of(free, kParts[i]) - kContext;
    consumers[name] = serve_consumer(options.folder, bytes, part_of(free, 0.02), kRunMs, kContext);
    result.add(name + " holds", to_mib(bytes), "MiB");
  }
  return consumers;
}

// Six clients at once.
void load_daemon(const DaemonRun& daemon, const json& consumers, double seconds, LoadOutcome& outcome) {
  std::vector<std::string> names;
  for (const auto& consumer : consumers.items()) names.push_back(consumer.key());
  const double until = now_ms() + seconds * 1e3;
  std::vector<std::jthread> clients;
  for (unsigned seed = 1; seed <= 6; ++seed)
    clients.emplace_back([&, seed] { send_requests(daemon, names, until, seed, outcome); });
}

void add_load_figures(StepResult& result, const DaemonRun& daemon, const LoadOutcome& outcome) {
  result.add("requests answered", outcome.latencies.size());
  result.add("requests that failed", outcome.failed);
  for (const char* event : {"load_ended", "evicted", "eviction_failed"})
    result.add(std::string("events ") + event, daemon.count_events(event));
  add_times(result, "a request", outcome.latencies);
  result.add("device memory of all consumers at the end", to_mib(daemon.memory("measured_bytes")), "MiB");
  const json status = daemon.status();
  if (status.is_object() && !status["devices"].empty())
    result.add("attribution", status["devices"][0]["memory"].value("attribution", "unknown"));
}

// Until the status' value fulfils the condition; the milliseconds that it took, or kNeverSeen.
double wait_for_memory(const DaemonRun& daemon, const std::string& key,
                       const std::function<bool(std::uint64_t)>& seen, double limit_ms) {
  const double start = now_ms();
  while (now_ms() - start < limit_ms) {
    if (seen(daemon.memory(key))) return now_ms() - start;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return kNeverSeen;
}

void add_seen(StepResult& result, const std::string& what, double milliseconds) {
  if (milliseconds != kNeverSeen) return result.add(what, milliseconds, "ms");
  result.add(what, "never");
  result.fail(what + ": never seen");
}

}  // namespace

StepResult check_daemon_load(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t free = free_of(nvml->read());
  result.add("device memory free before", to_mib(free), "MiB");
  const json consumers = five_consumers(result, options, free);
  auto started = DaemonRun::start(options.folder, "daemon", daemon_config(nvml->device().uuid, consumers));
  if (!started) return result.fail(started.error().detail), result;
  DaemonRun& daemon = **started;
  LoadOutcome outcome;
  const double seconds = options.quick ? 4 : 60;
  load_daemon(daemon, consumers, seconds, outcome);
  result.add("seconds of load from six clients", seconds, "s");
  add_load_figures(result, daemon, outcome);
  if (!daemon.stop()) result.fail("the daemon did not end");
  const std::size_t refused = count_refusals(options.folder);
  result.add("refused allocations", refused);
  if (refused > 0) result.fail("an allocation was refused");
  if (outcome.failed > 0) result.fail("a request failed: " + outcome.first_failure);
  if (outcome.latencies.empty()) result.fail("no request was answered");
  result.add("all memory is back after the daemon's end",
             nvml->wait_until([&](const auto& reading) { return free_of(reading) + kTolerance >= free; },
                              options.free_limit_ms));
  return result;
}

StepResult check_foreign(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t free = free_of(nvml->read());
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
  const Holder stranger = start_holder(result, {bytes});
  if (!stranger) return result;
  result.add("a stranger takes", to_mib(bytes), "MiB");
  add_seen(result, "the daemon shows it as foreign after",
           wait_for_memory(
               daemon, "foreign_bytes", [&](std::uint64_t now) { return now >= before + bytes; },
               options.free_limit_ms));
  result.add("foreign with the stranger", to_mib(daemon.memory("foreign_bytes")), "MiB");
  stranger->signal(SIGKILL);
  add_seen(result, "after its kill -9 the daemon no longer shows it after",
           wait_for_memory(
               daemon, "foreign_bytes", [&](std::uint64_t now) { return now <= before + kTolerance; },
               options.free_limit_ms));
  return result;
}

StepResult check_daemon_parking(const StepOptions& options) {
  StepResult result;
  const auto nvml = NvmlView::open();
  if (!nvml) return result.fail(nvml.error().detail), result;
  const std::uint64_t bytes =
      options.quick ? 256 * kMiB : std::min<std::uint64_t>(part_of(free_of(nvml->read()), 0.3), 4096 * kMiB);
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
