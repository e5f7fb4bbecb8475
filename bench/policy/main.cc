// mgpu-bench-policy: rules side by side on the same people, as a table or as JSON (variants.h).
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "best.h"
#include "households.h"
#include "replay/csv.h"
#include "replay/summary.h"
#include "simulate/report.h"
#include "variants.h"

namespace mgpu::bench {
namespace {

using replay::Summary;
using Json = nlohmann::json;

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "mgpu-bench-policy: %s\n", why.c_str());
  std::exit(2);
}

template <class T>
T or_give_up(Result<T> result) {
  if (!result) give_up(result.error().detail);
  return std::move(*result);
}

double s(Duration d) { return to_ms(d) / 1000; }

// How near to the best order that a search finds: mean seconds lost on windows of jobs that came in a row,
// everything cold.
struct Windows {
  std::size_t count = 0;
  double best = 0;
  std::vector<double> variants{};
};

constexpr std::size_t kLength = 14, kWindows = 40, kWidth = 4000;

Windows measure_windows(const std::string& trace, const std::vector<std::string>& variants,
                        const std::vector<std::string>& settings) {
  const replay::Machine house = household();
  const auto lived = or_give_up(run_seeds("affinity", trace, {.seeds = 1, .settings = settings}));
  const auto windows = windows_of(lived, kLength, kWindows);
  if (windows.empty()) give_up(trace + " is too short for windows");
  const auto mean = [&](const auto& of) {
    double sum = 0;
    for (const replay::Workload& window : windows) sum += of(window);
    return sum / static_cast<double>(windows.size());
  };
  Windows measured{.count = windows.size(), .best = mean([&](const auto& window) {
                                              return s(best_mean_wait(house, window, kWidth));
                                            })};
  for (const std::string& variant : variants)
    measured.variants.push_back(mean([&](const auto& window) {
      return s(replay::summarize(or_give_up(run(variant, window, settings))).lost.mean);
    }));
  return measured;
}

void print_windows(const std::string& trace, const Windows& windows,
                   const std::vector<std::string>& variants) {
  std::printf("\n%s: %zu windows of %zu jobs, mean lost: best order found %.2f s", trace.c_str(),
              windows.count, kLength, windows.best);
  for (std::size_t i = 0; i < variants.size(); ++i)
    std::printf(", %s %.2f s (%.2fx)", variants[i].c_str(), windows.variants[i],
                windows.variants[i] / std::max(windows.best, 1e-9));
  std::printf("\n");
}

Json windows_json(const Windows& windows, const std::vector<std::string>& variants) {
  Json json{{"windows", windows.count}, {"jobs", kLength}, {"best_s", windows.best}};
  for (std::size_t i = 0; i < variants.size(); ++i) json["lost_s"][variants[i]] = windows.variants[i];
  return json;
}

void print_head(const std::string& trace) {
  std::printf(
      "\n%s, seconds\n%-34s %5s %8s %8s %8s %8s %8s | %8s %8s | %5s %5s %5s %5s | %6s %7s %6s %6s %5s\n",
      trace.c_str(), "rule", "jobs", "wait", "p50", "p95", "p99", "worst", "lost", "p95", "loads", "busy",
      "load", "idle", "unfair", "overtkn", "passed", "bound", "late");
}

void print_row(const std::string& variant, const replay::Outcome& outcome) {
  const Summary f = replay::summarize(outcome);
  std::printf(
      "%-34s %5zu %8.2f %8.2f %8.2f %8.2f %8.2f | %8.2f %8.2f | %5zu %4.0f%% %4.0f%% %4.0f%% | %6.2f %7.1f "
      "%6u "
      "%6.1f %5.1f%s\n",
      variant.c_str(), f.jobs, s(f.wait.mean), s(f.wait.p50), s(f.wait.p95), s(f.wait.p99), s(f.wait.worst),
      s(f.lost.mean), s(f.lost.p95), f.loads, 100 * f.busy, 100 * f.loading, 100 * f.idle, f.unfairness,
      s(f.longest_overtaken), f.max_times_overtaken, s(f.overtake_bound), s(f.bound_excess),
      f.refused > 0 ? (" REFUSED " + std::to_string(f.refused)).c_str() : "");
  if (!outcome.first_refusal.empty()) std::printf("  the first refusal: %s\n", outcome.first_refusal.c_str());
}

struct Wanted {
  std::vector<std::string> traces{"voice", "agents", "independent", "azure", "azure_quiet"};
  std::vector<std::string> variants{"fifo", "affinity"}, settings{};
  std::uint32_t seeds = 5, first = 1;
  bool best = false, json = false;
  std::string csv{};  // a trace to write out instead
};

void compare(const Wanted& wanted) {
  Json all = Json::object();
  for (const std::string& trace : wanted.traces) {
    if (wanted.best) {
      const Windows windows = measure_windows(trace, wanted.variants, wanted.settings);
      all[trace] = windows_json(windows, wanted.variants);
      if (!wanted.json) print_windows(trace, windows, wanted.variants);
      continue;
    }
    if (!wanted.json) print_head(trace);
    for (const std::string& variant : wanted.variants) {
      const auto outcome = or_give_up(run_seeds(
          variant, trace, {.first = wanted.first, .seeds = wanted.seeds, .settings = wanted.settings}));
      all[trace][variant] = simulate::summary_json(replay::summarize(outcome));
      if (!wanted.json) print_row(variant, outcome);
    }
  }
  if (wanted.json) std::printf("%s\n", all.dump(1).c_str());
}

int main(int argc, char** argv) {
  CLI::App app("Rules for the line, side by side on the same people");
  Wanted wanted;
  app.add_option("--trace", wanted.traces,
                 "voice, agents, independent, azure, azure_quiet (default: all), or FILE.csv")
      ->delimiter(',');
  app.add_option("--variant", wanted.variants, "rule[+setting...], e.g. affinity+cap2+park")->delimiter(',');
  app.add_option("--set", wanted.settings, "KEY=VALUE, for all variants")->allow_extra_args(false);
  app.add_flag("--best", wanted.best, "Against the best order that a search finds for short windows");
  app.add_flag("--json", wanted.json, "All figures as JSON");
  app.add_option("--csv", wanted.csv, "Print this trace as CSV instead");
  app.add_option("--seeds", wanted.seeds, "Households of each trace (default 5)");
  app.add_option("--seed", wanted.first, "The first of them (default 1)");
  CLI11_PARSE(app, argc, argv);
  if (wanted.csv.empty())
    compare(wanted);
  else
    std::printf("%s", replay::to_csv(or_give_up(workload_of(wanted.csv, wanted.first)), household()).c_str());
  return 0;
}

}  // namespace
}  // namespace mgpu::bench

int main(int argc, char** argv) { return mgpu::bench::main(argc, argv); }
