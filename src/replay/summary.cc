#include "replay/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace mgpu::replay {
namespace {

// By the nearest-rank method.
Duration quantile(const std::vector<Duration>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::lround(share * static_cast<double>(sorted.size() - 1)));
  return sorted[rank];
}

Percentiles percentiles(std::vector<Duration> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const Duration sum = std::accumulate(values.begin(), values.end(), Duration{});
  return {.mean = sum / static_cast<std::int64_t>(values.size()),
          .p50 = quantile(values, 0.5),
          .p95 = quantile(values, 0.95),
          .p99 = quantile(values, 0.99),
          .worst = values.back()};
}

struct ActivityDelta {
  Instant at{};
  int running = 0;
  int moving = 0;  // loads and evictions
};

// Adds the shares of the time between the first arrival and the end.
void add_time_shares(Summary& summary, const Outcome& outcome) {
  if (outcome.jobs.empty()) return;
  std::vector<ActivityDelta> changes;
  for (const ActivitySpan& span : outcome.spans) {
    const bool is_run = span.activity == Activity::run;
    changes.push_back({span.from, is_run ? 1 : 0, is_run ? 0 : 1});
    changes.push_back({span.to, is_run ? -1 : 0, is_run ? 0 : -1});
  }
  std::ranges::sort(changes, {}, &ActivityDelta::at);
  Instant last = outcome.jobs.front().arrived;
  Duration busy{}, loading{};
  int running = 0, moving = 0;
  for (const ActivityDelta& change : changes) {
    const Duration elapsed = std::max(change.at - last, Duration{});
    if (running > 0) {
      busy += elapsed;
    } else if (moving > 0) {
      loading += elapsed;
    }
    running += change.running, moving += change.moving;
    last = std::max(last, change.at);
  }
  const auto total = static_cast<double>((outcome.end - outcome.jobs.front().arrived).count());
  if (total <= 0) return;
  summary.busy = static_cast<double>(busy.count()) / total;
  summary.loading = static_cast<double>(loading.count()) / total;
  summary.idle = 1 - summary.busy - summary.loading;
}

double unfairness_of(const std::vector<Job>& jobs) {
  struct UserTimes {
    Duration elapsed{}, work{};
  };
  std::map<std::uint32_t, UserTimes> users;
  for (const Job& job : jobs) {
    if (job.refused) continue;
    users[job.user].elapsed += job.ended - job.arrived;
    users[job.user].work += job.work;
  }
  double worst = 0, sum = 0;
  for (const auto& [id, user] : users) {
    const double slowdown =
        static_cast<double>(user.elapsed.count()) / std::max(1.0, static_cast<double>(user.work.count()));
    worst = std::max(worst, slowdown);
    sum += slowdown;
  }
  return users.empty() ? 0 : worst / (sum / static_cast<double>(users.size()));
}

}  // namespace

Summary summarize(const Outcome& outcome) {
  Summary summary;
  std::vector<Duration> waits, lost;
  for (const Job& job : outcome.jobs) {
    ++summary.jobs;
    if (job.first_overtaken)
      summary.longest_overtaken =
          std::max(summary.longest_overtaken, job.last_overtaken - *job.first_overtaken);
    summary.max_times_overtaken = std::max(summary.max_times_overtaken, job.times_overtaken);
    if (job.refused) {
      ++summary.refused;
      continue;
    }
    waits.push_back(job.started - job.arrived);
    lost.push_back(job.ended - job.arrived - job.work);
  }
  summary.wait = percentiles(std::move(waits));
  summary.lost = percentiles(std::move(lost));
  for (const ActivitySpan& span : outcome.spans) {
    if (span.activity == Activity::evict) ++summary.evictions;
    if (span.activity != Activity::load) continue;
    ++summary.loads;
    ++summary.loads_from[static_cast<std::size_t>(span.source)];
  }
  add_time_shares(summary, outcome);
  summary.overtake_bound = outcome.max_overtake_bound;
  summary.bound_excess = outcome.max_bound_excess;
  summary.unfairness = unfairness_of(outcome.jobs);
  return summary;
}

std::map<ConsumerId, Summary> summarize_by_consumer(const Outcome& outcome) {
  std::map<ConsumerId, Outcome> parts;
  for (const Job& job : outcome.jobs) parts[job.consumer].jobs.push_back(job);
  for (const ActivitySpan& span : outcome.spans) parts[span.consumer].spans.push_back(span);
  std::map<ConsumerId, Summary> summaries;
  for (auto& [consumer, part] : parts) {
    part.end = outcome.end;
    summaries[consumer] = summarize(part);
  }
  return summaries;
}

}  // namespace mgpu::replay
