// mgpu-bench-policy: compares policies and rules on the same workloads, as a table or as JSON (variants.h).
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "best_order.h"
#include "replay/csv.h"
#include "replay/summary.h"
#include "simulate/report.h"
#include "synthetic_workloads.h"
#include "variants.h"

namespace mgpu::bench {
namespace {

using replay::Summary;
using Json = nlohmann::json;

[[noreturn]] void exit_with_error(const std::string& message) {
  std::fprintf(stderr, "mgpu-bench-policy: %s\n", message.c_str());
  std::exit(2);
}

template <class T>
T value_or_exit(Result<T> result) {
  if (!result) exit_with_error(result.error().detail);
  return std::move(*result);
}

// The mean seconds lost on windows of consecutive jobs, compared with the best order that a search finds.
struct WindowResults {
  std::size_t count = 0;
  double best = 0;
  std::vector<double> variants{};  // in the order of the variants
};

constexpr std::size_t kWindowLength = 14, kMaxWindows = 40, kBeamWidth = 4000;

WindowResults measure_windows(const std::string& trace, const std::vector<std::string>& variants,
                              const std::vector<std::string>& settings) {
  const replay::Machine machine = synthetic_machine();
  const auto outcome = value_or_exit(run_seeds("affinity", trace, {.count = 1, .settings = settings}));
  const auto windows = split_into_windows(outcome, kWindowLength, kMaxWindows);
  if (windows.empty())
    exit_with_error("the trace " + trace + " is too short: --best needs at least " +
                    std::to_string(kWindowLength) + " jobs");
  const auto mean = [&](const auto& measure) {
    double sum = 0;
    for (const replay::Workload& window : windows) sum += measure(window);
    return sum / static_cast<double>(windows.size());
  };
  WindowResults measured{.count = windows.size(),
                         .best = mean([&](const auto& window) {
                           return to_seconds(best_mean_wait(machine, window, kBeamWidth));
                         })};
  for (const std::string& variant : variants)
    measured.variants.push_back(mean([&](const auto& window) {
      return to_seconds(replay::summarize(value_or_exit(run_variant(variant, window, settings))).lost.mean);
    }));
  return measured;
}

void print_windows(const std::string& trace, const WindowResults& windows,
                   const std::vector<std::string>& variants) {
  std::printf("\n%s: %zu windows of %zu jobs, mean lost: best order found %.2f s", trace.c_str(),
              windows.count, kWindowLength, windows.best);
  for (std::size_t i = 0; i < variants.size(); ++i)
    std::printf(", %s %.2f s (%.2fx)", variants[i].c_str(), windows.variants[i],
                windows.variants[i] / std::max(windows.best, 1e-9));
  std::printf("\n");
}

Json windows_json(const WindowResults& windows, const std::vector<std::string>& variants) {
  Json json{{"windows", windows.count}, {"jobs", kWindowLength}, {"best_s", windows.best}};
  for (std::size_t i = 0; i < variants.size(); ++i) json["lost_s"][variants[i]] = windows.variants[i];
  return json;
}

void print_table_header(const std::string& trace) {
  std::printf(
      "\n%s, seconds\n%-34s %5s %8s %8s %8s %8s %8s | %8s %8s | %5s %5s %5s %5s | %6s %7s %6s %6s %5s\n",
      trace.c_str(), "rule", "jobs", "wait", "p50", "p95", "p99", "worst", "lost", "p95", "loads", "busy",
      "load", "idle", "unfair", "overtkn", "passed", "bound", "late");
}

void print_row(const std::string& variant, const replay::Outcome& outcome) {
  const Summary summary = replay::summarize(outcome);
  std::printf(
      "%-34s %5zu %8.2f %8.2f %8.2f %8.2f %8.2f | %8.2f %8.2f | %5zu %4.0f%% %4.0f%% %4.0f%% | %6.2f %7.1f "
      "%6u "
      "%6.1f %5.1f%s\n",
      variant.c_str(), summary.jobs, to_seconds(summary.wait.mean), to_seconds(summary.wait.p50),
      to_seconds(summary.wait.p95), to_seconds(summary.wait.p99), to_seconds(summary.wait.worst),
      to_seconds(summary.lost.mean), to_seconds(summary.lost.p95), summary.loads, 100 * summary.busy,
      100 * summary.loading, 100 * summary.idle, summary.unfairness, to_seconds(summary.longest_overtaken),
      summary.max_times_overtaken, to_seconds(summary.overtake_bound), to_seconds(summary.bound_excess),
      summary.refused > 0 ? (" REFUSED " + std::to_string(summary.refused)).c_str() : "");
  if (!outcome.first_refusal.empty()) std::printf("  the first refusal: %s\n", outcome.first_refusal.c_str());
}

struct Options {
  std::vector<std::string> traces{"voice", "agents", "independent", "azure", "azure_quiet"};
  std::vector<std::string> variants{"fifo", "affinity"}, settings{};
  std::uint32_t seeds = 5, first = 1;
  bool best = false, json = false;
  std::string csv{};  // a trace to print as CSV instead
};

void compare_variants(const Options& options) {
  Json all = Json::object();
  for (const std::string& trace : options.traces) {
    if (options.best) {
      const WindowResults windows = measure_windows(trace, options.variants, options.settings);
      all[trace] = windows_json(windows, options.variants);
      if (!options.json) print_windows(trace, windows, options.variants);
      continue;
    }
    if (!options.json) print_table_header(trace);
    for (const std::string& variant : options.variants) {
      const auto outcome = value_or_exit(run_seeds(
          variant, trace, {.first = options.first, .count = options.seeds, .settings = options.settings}));
      all[trace][variant] = simulate::summary_json(replay::summarize(outcome));
      if (!options.json) print_row(variant, outcome);
    }
  }
  if (options.json) std::printf("%s\n", all.dump(1).c_str());
}

int main(int argc, char** argv) {
  CLI::App app("Compares scheduling policies and rules on the same workloads");
  Options options;
  app.add_option("--trace", options.traces,
                 "voice, agents, independent, azure, azure_quiet (default: all), or FILE.csv")
      ->delimiter(',');
  app.add_option("--variant", options.variants, "policy or rule[+setting...], e.g. affinity+cap2+park")
      ->delimiter(',');
  app.add_option("--set", options.settings, "KEY=VALUE, for all variants")->allow_extra_args(false);
  app.add_flag("--best", options.best, "Compare with the best order that a search finds for short windows");
  app.add_flag("--json", options.json, "Print the summaries as JSON");
  app.add_option("--csv", options.csv, "Print this trace as CSV instead");
  app.add_option("--seeds", options.seeds, "Number of seeds of each synthetic trace (default 5)");
  app.add_option("--seed", options.first, "First seed (default 1)");
  CLI11_PARSE(app, argc, argv);
  if (options.csv.empty())
    compare_variants(options);
  else
    std::printf("%s",
                replay::to_csv(value_or_exit(load_workload(options.csv, options.first)), synthetic_machine())
                    .c_str());
  return 0;
}

}  // namespace
}  // namespace mgpu::bench

int main(int argc, char** argv) { return mgpu::bench::main(argc, argv); }
