// mgpu-faults: runs some dozens of scripted exchanges through the real daemon, and cuts, resets, stalls,
// delays or corrupts each side at every byte, in every order. After each case the daemon must be idle again.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <CLI/CLI.hpp>
#include <fmt/format.h>
#include <unistd.h>

#include "daemon_process.h"
#include "lane.h"

namespace mgpu::faults {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define MGPU_SANITIZED
#endif
#endif
// With sanitizers the daemon is slower and needs more memory.
#ifdef MGPU_SANITIZED
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

struct Options {
  std::size_t sample = 50'000;
  bool all = false, list = false, verbose = false;
  std::uint32_t seed = 1;
  unsigned lanes = 64;
  std::size_t round = 2'000;
  std::size_t max_failures = 100;
  unsigned settle_ms = kSanitized ? 4'000 : 1'000;
  std::string only, side, fault, order, program;
  int at = -1;
};

constexpr std::size_t kRssSlackKib = (kSanitized ? 300 : 48) * 1024;
constexpr std::size_t kDenseHead = 700, kDenseTail = 60, kStride = 61, kBigStride = 4'999,
                      kBigLength = 20'000, kHangStride = 40;

// The positions at which faults are injected: every byte, but only a sample of large bodies.
std::vector<std::uint32_t> fault_positions(std::size_t length) {
  std::vector<std::uint32_t> all;
  for (std::size_t at = 0; at <= length; ++at)
    if (at <= kDenseHead || length - at <= kDenseTail ||
        at % (length > kBigLength ? kBigStride : kStride) == 0)
      all.push_back(static_cast<std::uint32_t>(at));
  return all;
}

std::vector<FaultCase> all_cases(const Options& options) {
  std::vector<FaultCase> cases;
  const auto& scripts = all_scripts();
  for (std::size_t s = 0; s < scripts.size(); ++s) {
    if (!options.only.empty() && options.only != scripts[s].name) continue;
    const ExchangeScript exchange = scripts[s].make({.lane = "lane0099", .id = "00000000"});
    for (const Order order : {Order::in_turn, Order::client_first, Order::service_first}) {
      if (!options.order.empty() && options.order != to_string(order)) continue;
      const FaultCase plain{.script_index = static_cast<std::uint16_t>(s), .order = order};
      if (options.side.empty() && (options.fault.empty() || options.fault == "none")) cases.push_back(plain);
      for (const Side side : {Side::client, Side::service}) {
        if (!options.side.empty() && options.side != to_string(side)) continue;
        const std::size_t length = bytes_to_send(exchange, side);
        if (length == 0) continue;
        for (const Fault fault : {Fault::cut, Fault::half, Fault::reset, Fault::stall, Fault::hang,
                                  Fault::delay, Fault::corrupt}) {
          if (!options.fault.empty() && options.fault != to_string(fault)) continue;
          if (options.fault.empty() && order != Order::in_turn &&
              (fault == Fault::hang || fault == Fault::stall))
            continue;
          for (const std::uint32_t at : fault_positions(length)) {
            if (options.at >= 0 && at != static_cast<std::uint32_t>(options.at)) continue;
            if (fault == Fault::hang && options.at < 0 && at % kHangStride != 0 && at != length) continue;
            FaultCase one = plain;
            one.side = side;
            one.fault = fault;
            one.at = at;
            cases.push_back(one);
          }
        }
      }
    }
  }
  std::mt19937 random(options.seed);
  const bool just_one = options.at >= 0;
  for (FaultCase& one : cases) one.seed = just_one ? options.seed : static_cast<std::uint32_t>(random());
  std::ranges::shuffle(cases, random);
  if (!options.all && cases.size() > options.sample) cases.resize(options.sample);
  return cases;
}

// Prints the first failure of each kind, and counts them.
class FailureReport {
 public:
  void add(const FaultCase& fault_case, const std::string& problem, const std::string& transcript) {
    const std::scoped_lock lock(mutex_);
    ++count_;
    const std::string kind =
        fmt::format("{} {} {} {}", all_scripts()[fault_case.script_index].name, to_string(fault_case.side),
                    to_string(fault_case.fault), problem.substr(0, 40));
    if (kinds_[kind]++ > 0) return;
    fmt::print("FAILED mgpu-faults {}\n  {}\n{}\n", reproduction_options(fault_case), problem, transcript);
    std::fflush(stdout);
  }
  void add_daemon_failure(const std::string& what, const std::string& kind) {
    const std::scoped_lock lock(mutex_);
    ++count_;
    if (kinds_[kind]++ > 0) return;
    fmt::print("FAILED {}\n", what);
    std::fflush(stdout);
  }
  void print_summary() const {
    for (const auto& [kind, times] : kinds_) fmt::print("  {:5} x {}\n", times, kind);
  }
  std::size_t count() const { return count_; }

 private:
  mutable std::mutex mutex_;
  std::map<std::string, std::size_t> kinds_;
  std::atomic<std::size_t> count_ = 0;
};

class FaultTest {
 public:
  FaultTest(Options options, std::vector<FaultCase> cases, fs::path folder)
      : options_(std::move(options)), cases_(std::move(cases)), folder_(std::move(folder)) {
    const CaseTimeouts limits{.settle = std::chrono::milliseconds(options_.settle_ms)};
    const std::size_t lane_count =
        std::min<std::size_t>(options_.lanes, std::max<std::size_t>(cases_.size(), 1));
    for (unsigned i = 0; i < lane_count; ++i) lanes_.push_back({.lane = std::make_unique<Lane>(i, limits)});
    start_daemon();
  }

  int run() {
    const auto started_at = Clock::now();
    while (done_ < cases_.size() && report_.count() < options_.max_failures) {
      const std::size_t end = std::min(
          cases_.size(), done_ + (done_ == 0 ? std::min<std::size_t>(options_.round, 400) : options_.round));
      run_round(end);
      check_daemon();
    }
    if (daemon_->is_alive() && !daemon_->stop())
      report_.add_daemon_failure(
          "the daemon did not exit cleanly: " + daemon_->exit_reason() + "\n" + daemon_->log_tail(),
          "the daemon did not exit cleanly");
    const double seconds = std::chrono::duration<double>(Clock::now() - started_at).count();
    report_.print_summary();
    fmt::print("faults: {} of {} cases over {} exchanges, seed {}, {:.1f} s: {}\n", done_, cases_.size(),
               all_scripts().size(), options_.seed, seconds,
               report_.count() == 0 ? "all passed" : fmt::format("{} failed", report_.count()));
    return report_.count() == 0 ? 0 : 1;
  }

 private:
  struct LaneSlot {
    std::unique_ptr<Lane> lane;
    std::optional<FaultCase> running_case{};
    bool poisoned = false;
  };

  void start_daemon() {
    std::vector<std::pair<std::string, std::uint16_t>> consumers;
    for (const LaneSlot& slot : lanes_) consumers.emplace_back(slot.lane->name(), slot.lane->service_port());
    daemon_ = std::make_unique<DaemonProcess>(options_.program, folder_, consumers);
    for (LaneSlot& slot : lanes_) {
      slot.lane->set_daemon_port(daemon_->port());
      slot.poisoned = false;
    }
    baseline_.reset();
  }

  void run_round(std::size_t end) {
    std::atomic<std::size_t> next = done_;
    std::atomic<bool> stop = false;
    std::vector<std::jthread> threads;
    for (LaneSlot& slot : lanes_)
      threads.emplace_back([&] {
        while (!stop && !slot.poisoned) {
          const std::size_t at = next++;
          if (at >= end) break;
          slot.running_case = cases_[at];
          const CaseResult outcome = slot.lane->run_case(cases_[at]);
          if (options_.verbose)
            fmt::print("{} {}\n{}", reproduction_options(cases_[at]),
                       outcome.problem.empty() ? "ok" : outcome.problem, outcome.transcript);
          if (!outcome.problem.empty()) {
            if (!is_daemon_alive()) {
              stop = true;
              break;
            }
            slot.poisoned = outcome.poisoned;
            report_.add(cases_[at], outcome.problem, outcome.transcript);
            if (report_.count() >= options_.max_failures) stop = true;
          }
          slot.running_case.reset();
        }
      });
    threads.clear();
    done_ = std::min(end, next.load());
  }

  bool is_daemon_alive() {
    const std::scoped_lock lock(daemon_mutex_);
    return daemon_->is_alive();
  }

  void check_daemon() {
    if (!is_daemon_alive()) {
      std::string running_cases;
      for (LaneSlot& slot : lanes_)
        if (slot.running_case)
          running_cases += "\n  " + reproduction_options(*std::exchange(slot.running_case, std::nullopt));
      const std::string tail = daemon_->log_tail();
      std::size_t marker_at = tail.find("SUMMARY: ");
      if (marker_at == tail.npos) marker_at = tail.find("Assertion ");
      const std::string kind = marker_at == tail.npos
                                   ? daemon_->exit_reason()
                                   : tail.substr(marker_at, tail.find('\n', marker_at) - marker_at);
      report_.add_daemon_failure(fmt::format("the daemon died: {}; end of its log:\n{}\n  during one of{}",
                                             daemon_->exit_reason(), tail, running_cases),
                                 "the daemon died: " + kind);
      return start_daemon();
    }
    const bool poisoned = std::ranges::any_of(lanes_, &LaneSlot::poisoned);
    const ResourceUsage now = daemon_->resource_usage();
    if (!baseline_) baseline_ = now;
    // Each lane may leave one or two connections in the daemon's pool.
    const bool leaks_descriptors = now.descriptors > baseline_->descriptors + 3 * lanes_.size();
    const bool leaks_memory = now.rss_kib > baseline_->rss_kib + kRssSlackKib;
    if (leaks_descriptors && !poisoned)
      report_.add_daemon_failure(fmt::format("open descriptors grew from {} to {} in {} cases",
                                             baseline_->descriptors, now.descriptors, done_),
                                 "descriptors grew");
    if (leaks_memory && !poisoned)
      report_.add_daemon_failure(fmt::format("memory grew from {} KiB to {} KiB in {} cases",
                                             baseline_->rss_kib, now.rss_kib, done_),
                                 "memory grew");
    if (leaks_descriptors || leaks_memory) baseline_ = now;
    if (poisoned) start_daemon();
  }

  Options options_;
  std::vector<FaultCase> cases_;
  fs::path folder_;
  std::vector<LaneSlot> lanes_;
  std::mutex daemon_mutex_;
  std::unique_ptr<DaemonProcess> daemon_;
  std::optional<ResourceUsage> baseline_;
  FailureReport report_;
  std::size_t done_ = 0;
};

int run_main(int argc, char** argv) {
  Options options;
  options.program = fs::canonical("/proc/self/exe").parent_path() / "mgpu";
  CLI::App app("Injects faults at every byte of scripted exchanges through the daemon.");
  app.add_option("--sample", options.sample, "number of randomly chosen cases");
  app.add_flag("--all", options.all, "run all cases");
  app.add_option("--seed", options.seed, "seed of the sample and of the values of corrupted bytes");
  app.add_option("--lanes", options.lanes, "number of concurrent cases")->check(CLI::Range(1, 64));
  app.add_option("--round", options.round, "number of cases between two checks of descriptors and memory");
  app.add_option("--max-failures", options.max_failures, "stop after this many failures");
  app.add_option("--settle-ms", options.settle_ms, "limit in ms until the daemon must be idle after a case");
  app.add_option("--mgpu", options.program, "path of the daemon's executable");
  app.add_option("--only", options.only, "run only this exchange");
  app.add_option("--side", options.side, "inject on this side: client or service");
  app.add_option("--fault", options.fault,
                 "inject this fault: none, cut, half, reset, stall, hang, delay, corrupt");
  app.add_option("--order", options.order, "order: in-turn, client-first, service-first");
  app.add_option("--at", options.at, "inject after this many bytes of that side");
  app.add_flag("--list", options.list, "list the exchanges");
  app.add_flag("--verbose", options.verbose, "print the transcript of each case");
  CLI11_PARSE(app, argc, argv);
  if (options.list) {
    for (const NamedScript& script : all_scripts()) {
      const ExchangeScript exchange = script.make({.lane = "lane0099", .id = "00000000"});
      fmt::print("{:24} client {:6} bytes, service {:6} bytes\n", script.name,
                 bytes_to_send(exchange, Side::client), bytes_to_send(exchange, Side::service));
    }
    fmt::print("{} cases\n", [&] {
      options.all = true;
      return all_cases(options).size();
    }());
    return 0;
  }
  std::vector<FaultCase> cases = all_cases(options);
  if (cases.empty()) {
    fmt::print(stderr, "mgpu-faults: no case matches --only, --side, --fault, --order and --at\n");
    return 2;
  }
  std::string pattern = fs::temp_directory_path() / "mgpu-faults-XXXXXX";
  if (::mkdtemp(pattern.data()) == nullptr) return 2;
  const fs::path folder = pattern;
  const int code = FaultTest(options, std::move(cases), folder).run();
  fs::remove_all(folder);
  return code;
}

}  // namespace
}  // namespace mgpu::faults

int main(int argc, char** argv) {
  try {
    return mgpu::faults::run_main(argc, argv);
  } catch (const std::exception& error) {
    fmt::print(stderr, "mgpu-faults: {}\n", error.what());
    return 2;
  }
}
