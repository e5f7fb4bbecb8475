#include "variants.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <utility>

#include "replay/csv.h"
#include "replay/replay.h"
#include "replay/settings.h"
#include "rules.h"
#include "synthetic_workloads.h"

namespace mgpu::bench {
namespace {

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts{""};
  for (const char c : text)
    if (c == separator)
      parts.emplace_back();
    else
      parts.back() += c;
  return parts;
}

Result<void> apply_variant_setting(replay::Machine& machine, const std::string& setting) {
  static const std::map<std::string, std::vector<std::string>> shorthand{
      {"cache", {"page_cache=128GiB"}},
      {"park", {"consumers.*.can_park=true", "park_memory=128GiB"}},
      {"cap2", {"capacity=2"}},
      {"noahead", {"load_ahead=false"}},
  };
  if (setting == "known") {
    set_learned_costs(machine);
    return {};
  }
  const auto found = shorthand.find(setting);
  for (const std::string& expanded : found == shorthand.end() ? std::vector{setting} : found->second)
    if (auto result = replay::apply_setting(machine, expanded); !result) return result;
  return {};
}

bool is_synthetic_trace(const std::string& trace) {
  return std::ranges::find(synthetic_trace_names(), trace) != synthetic_trace_names().end();
}

// Appends `next` after the end of `all`. Its users get other ids.
void append_outcome(replay::Outcome& all, replay::Outcome next, std::uint32_t round) {
  constexpr std::uint32_t kUserIdStride = 100'000;
  const Duration offset = all.end - Instant{};
  for (replay::Job& job : next.jobs) {
    job.user += round * kUserIdStride;
    for (Instant* at : {&job.arrived, &job.started, &job.ended, &job.last_overtaken}) *at = *at + offset;
    if (job.first_overtaken) job.first_overtaken = *job.first_overtaken + offset;
    all.jobs.push_back(job);
  }
  for (replay::ActivitySpan& span : next.spans) {
    span.from = span.from + offset, span.to = span.to + offset;
    all.spans.push_back(span);
  }
  all.end = next.end + offset;
  all.events += next.events;
  all.loaded_in_vain += next.loaded_in_vain;
  all.max_overtake_bound = std::max(all.max_overtake_bound, next.max_overtake_bound);
  all.max_bound_excess = std::max(all.max_bound_excess, next.max_bound_excess);
  if (all.first_refusal.empty()) all.first_refusal = next.first_refusal;
}

}  // namespace

Result<replay::Outcome> run_variant(const std::string& variant, const replay::Workload& workload,
                                    const std::vector<std::string>& settings) {
  const std::vector<std::string> parts = split(variant, '+');
  replay::Machine machine = synthetic_machine();
  for (const std::string& setting : settings)
    if (const auto result = apply_variant_setting(machine, setting); !result)
      return std::unexpected(result.error());
  for (std::size_t i = 1; i < parts.size(); ++i)
    if (const auto result = apply_variant_setting(machine, parts[i]); !result)
      return std::unexpected(result.error());
  if (auto outcome = run_rule(parts.front(), machine, workload)) return std::move(*outcome);
  if (const auto result = apply_variant_setting(machine, "policy=" + parts.front()); !result)
    return std::unexpected(result.error());
  return replay::replay(machine, workload);
}

Result<replay::Workload> load_workload(const std::string& trace, std::uint32_t seed) {
  if (is_synthetic_trace(trace)) return synthetic_workload(trace, seed);
  const std::string path = trace.ends_with(".csv") ? trace : std::string(MGPU_TRACES) + "/" + trace + ".csv";
  std::ifstream file(path);
  if (!file) return fail(ErrorCode::invalid_request, "the trace " + path + " can't be read");
  auto workload =
      replay::parse_csv(std::string(std::istreambuf_iterator<char>(file), {}), synthetic_machine());
  if (!workload) return fail(workload.error().code, path + ": " + workload.error().detail);
  return workload;
}

Result<replay::Outcome> run_seeds(const std::string& variant, const std::string& trace,
                                  const SeedOptions& options) {
  replay::Outcome all;
  for (std::uint32_t i = 0; i < (is_synthetic_trace(trace) ? options.count : 1); ++i) {
    const auto workload = load_workload(trace, options.first + i);
    if (!workload) return std::unexpected(workload.error());
    auto outcome = run_variant(variant, *workload, options.settings);
    if (!outcome) return std::unexpected(outcome.error());
    append_outcome(all, std::move(*outcome), i);
  }
  return all;
}

}  // namespace mgpu::bench
