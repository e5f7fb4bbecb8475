// mgpu-bench-policy: rules side by side on the same people. A variant is a rule with settings changed,
// written "affinity+capacity=2+load_ahead=false"; the short words page_cache and park stand for a house with
// room for all weights in host memory, and with services that can park there.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <map>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "best.h"
#include "households.h"
#include "replay/csv.h"
#include "replay/replay.h"
#include "replay/settings.h"
#include "replay/summary.h"
#include "rules.h"
#include "simulate/show.h"

namespace mgpu::bench {
namespace {

using replay::Figures;
using Json = nlohmann::json;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts{""};
  for (const char c : text)
    if (c == at)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

[[noreturn]] void give_up(const std::string& why) {
  std::fprintf(stderr, "mgpu-bench-policy: %s\n", why.c_str());
  std::exit(2);
}

void change(replay::House& house, const std::string& setting) {
  static const std::map<std::string, std::vector<std::string>> kShort{
      {"cache", {"page_cache=128GiB"}},
      {"park", {"consumers.*.can_park=true", "park_memory=128GiB"}},
      {"cap2", {"capacity=2"}},
      {"noahead", {"load_ahead=false"}},
  };
  const auto found = kShort.find(setting);
  for (const std::string& one : found == kShort.end() ? std::vector{setting} : found->second)
    if (const auto done = replay::apply_setting(house, one); !done) give_up(done.error().detail);
}

replay::Outcome run(const std::string& variant, const replay::Workload& workload,
                    const std::vector<std::string>& settings) {
  const std::vector<std::string> parts = split(variant, '+');
  replay::House house = household();
  for (const std::string& setting : settings) change(house, setting);
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (parts[i] == "known")
      make_costs_known(house);
    else
      change(house, parts[i]);
  if (auto outcome = run_rule(parts.front(), house, workload)) return std::move(*outcome);
  change(house, "policy=" + parts.front());
  return replay::replay(house, workload);
}

bool is_household(const std::string& trace) {
  return std::ranges::find(household_names(), trace) != household_names().end();
}

// Of a household by its seed; of a file, or one of ours in bench/traces, the same each time.
replay::Workload workload_of(std::string trace, std::uint32_t seed) {
  if (is_household(trace)) return household_workload(trace, seed);
  if (!trace.ends_with(".csv")) trace = std::string(MGPU_TRACES) + "/" + trace + ".csv";
  std::ifstream file(trace);
  if (!file) give_up(trace + " can't be read");
  const auto workload = replay::parse_csv(std::string(std::istreambuf_iterator<char>(file), {}), household());
  if (!workload) give_up(trace + ": " + workload.error().detail);
  return *workload;
}

// One life after the other, as if it were one long day; users are different people each time.
void append(replay::Outcome& all, replay::Outcome next, std::uint32_t round) {
  const Duration by = all.end - Instant{};
  for (replay::Job& job : next.jobs) {
    job.user += round * 100'000;
    for (Instant* at : {&job.arrived, &job.started, &job.ended, &job.last_overtaken}) *at = *at + by;
    if (job.first_overtaken) job.first_overtaken = *job.first_overtaken + by;
    all.jobs.push_back(job);
  }
  for (replay::Span& span : next.spans) {
    span.from = span.from + by, span.to = span.to + by;
    all.spans.push_back(span);
  }
  all.end = next.end + by;
  all.events += next.events;
  all.loaded_in_vain += next.loaded_in_vain;
  all.longest_bound = std::max(all.longest_bound, next.longest_bound);
  all.beyond_bound = std::max(all.beyond_bound, next.beyond_bound);
  if (all.refusal.empty()) all.refusal = next.refusal;
}

replay::Outcome run_seeds(const std::string& variant, const std::string& trace, std::uint32_t first,
                          std::uint32_t seeds, const std::vector<std::string>& settings) {
  replay::Outcome all;
  for (std::uint32_t i = 0; i < (is_household(trace) ? seeds : 1); ++i)
    append(all, run(variant, workload_of(trace, first + i), settings), i);
  return all;
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
  const replay::House house = household();
  const auto windows = windows_of(run("affinity", workload_of(trace, 1), settings), kLength, kWindows);
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
    measured.variants.push_back(mean(
        [&](const auto& window) { return s(replay::figures_of(run(variant, window, settings)).lost.mean); }));
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
  const Figures f = replay::figures_of(outcome);
  std::printf(
      "%-34s %5zu %8.2f %8.2f %8.2f %8.2f %8.2f | %8.2f %8.2f | %5zu %4.0f%% %4.0f%% %4.0f%% | %6.2f %7.1f "
      "%6u "
      "%6.1f %5.1f%s\n",
      variant.c_str(), f.jobs, s(f.wait.mean), s(f.wait.p50), s(f.wait.p95), s(f.wait.p99), s(f.wait.worst),
      s(f.lost.mean), s(f.lost.p95), f.loads, 100 * f.busy, 100 * f.loading, 100 * f.idle, f.unfairness,
      s(f.overtaken), f.passed, s(f.bound), s(f.late),
      f.refused > 0 ? (" REFUSED " + std::to_string(f.refused)).c_str() : "");
  if (!outcome.refusal.empty()) std::printf("  the first refusal: %s\n", outcome.refusal.c_str());
}

struct Wanted {
  std::vector<std::string> traces{"voice", "agents", "independent", "azure", "azure_quiet"};
  std::vector<std::string> variants{"fifo", "affinity"}, settings{};
  std::uint32_t seeds = 5, first = 1;
  bool best = false, json = false;
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
      const auto outcome = run_seeds(variant, trace, wanted.first, wanted.seeds, wanted.settings);
      all[trace][variant] = simulate::figures_json(replay::figures_of(outcome));
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
  app.add_option("--seeds", wanted.seeds, "Households of each trace (default 5)");
  app.add_option("--seed", wanted.first, "The first of them (default 1)");
  CLI11_PARSE(app, argc, argv);
  compare(wanted);
  return 0;
}

}  // namespace
}  // namespace mgpu::bench

int main(int argc, char** argv) { return mgpu::bench::main(argc, argv); }
