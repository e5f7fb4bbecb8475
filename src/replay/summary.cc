#include "replay/summary.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace mgpu::replay {
namespace {

// The value below which this share of all lie (nearest rank).
Duration quantile(const std::vector<Duration>& sorted, double share) {
  const auto rank = static_cast<std::size_t>(std::lround(share * static_cast<double>(sorted.size() - 1)));
  return sorted[rank];
}

Spread spread_of(std::vector<Duration> values) {
  if (values.empty()) return {};
  std::ranges::sort(values);
  const Duration sum = std::accumulate(values.begin(), values.end(), Duration{});
  return {.mean = sum / static_cast<std::int64_t>(values.size()),
          .p50 = quantile(values, 0.5),
          .p95 = quantile(values, 0.95),
          .p99 = quantile(values, 0.99),
          .worst = values.back()};
}

struct Change {
  Instant at{};
  int running = 0;
  int moving = 0;
};

// Shares of the time between the first arrival and the last end.
void add_shares(Figures& figures, const Outcome& outcome) {
  if (outcome.jobs.empty()) return;
  std::vector<Change> changes;
  for (const Span& span : outcome.spans) {
    const bool run = span.what == Doing::run;
    changes.push_back({span.from, run ? 1 : 0, run ? 0 : 1});
    changes.push_back({span.to, run ? -1 : 0, run ? 0 : -1});
  }
  std::ranges::sort(changes, {}, &Change::at);
  Instant last = outcome.jobs.front().arrived;
  Duration busy{}, loading{};
  int running = 0, moving = 0;
  for (const Change& change : changes) {
    const Duration passed = std::max(change.at - last, Duration{});
    if (running > 0) {
      busy += passed;
    } else if (moving > 0) {
      loading += passed;
    }
    running += change.running, moving += change.moving;
    last = std::max(last, change.at);
  }
  const auto whole = static_cast<double>((outcome.end - outcome.jobs.front().arrived).count());
  if (whole <= 0) return;
  figures.busy = static_cast<double>(busy.count()) / whole;
  figures.loading = static_cast<double>(loading.count()) / whole;
  figures.idle = 1 - figures.busy - figures.loading;
}

double unfairness_of(const std::vector<Job>& jobs) {
  struct User {
    Duration took{}, work{};
  };
  std::map<std::uint32_t, User> users;
  for (const Job& job : jobs) {
    if (job.refused) continue;
    users[job.user].took += job.ended - job.arrived;
    users[job.user].work += job.work;
  }
  double worst = 0, sum = 0;
  for (const auto& [id, user] : users) {
    const double slowdown =
        static_cast<double>(user.took.count()) / std::max(1.0, static_cast<double>(user.work.count()));
    worst = std::max(worst, slowdown);
    sum += slowdown;
  }
  return users.empty() ? 0 : worst / (sum / static_cast<double>(users.size()));
}

}  // namespace

Figures figures_of(const Outcome& outcome) {
  Figures figures;
  std::vector<Duration> waits, lost;
  for (const Job& job : outcome.jobs) {
    ++figures.jobs;
    if (job.first_overtaken)
      figures.overtaken = std::max(figures.overtaken, job.last_overtaken - *job.first_overtaken);
    figures.passed = std::max(figures.passed, job.overtaken);
    if (job.refused) {
      ++figures.refused;
      continue;
    }
    waits.push_back(job.started - job.arrived);
    lost.push_back(job.ended - job.arrived - job.work);
  }
  figures.wait = spread_of(std::move(waits));
  figures.lost = spread_of(std::move(lost));
  for (const Span& span : outcome.spans) {
    if (span.what == Doing::evict) ++figures.evictions;
    if (span.what != Doing::load) continue;
    ++figures.loads;
    ++figures.loads_from[static_cast<std::size_t>(span.source)];
  }
  add_shares(figures, outcome);
  figures.bound = outcome.longest_bound;
  figures.late = outcome.beyond_bound;
  figures.unfairness = unfairness_of(outcome.jobs);
  return figures;
}

std::map<ConsumerId, Figures> figures_by_consumer(const Outcome& outcome) {
  std::map<ConsumerId, Outcome> parts;
  for (const Job& job : outcome.jobs) parts[job.consumer].jobs.push_back(job);
  for (const Span& span : outcome.spans) parts[span.consumer].spans.push_back(span);
  std::map<ConsumerId, Figures> figures;
  for (auto& [consumer, part] : parts) {
    part.end = outcome.end;
    figures[consumer] = figures_of(part);
  }
  return figures;
}

}  // namespace mgpu::replay
