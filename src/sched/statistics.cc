#include "sched/statistics.h"

#include <algorithm>

#include "base/assert.h"

namespace mgpu {
namespace {

struct StatisticsUpdater {
  Statistics& statistics;

  void operator()(statistics_event::Arrived) { ++statistics.queue_depth; }
  void operator()(statistics_event::Granted granted) {
    MGPU_ASSERT(statistics.queue_depth > 0, "only a waiting ticket is granted");
    --statistics.queue_depth, ++statistics.in_flight;
    statistics.last_wait = granted.waited;
    statistics.granted_at = granted.at;
  }
  void operator()(statistics_event::Released released) {
    MGPU_ASSERT(statistics.in_flight > 0, "a lease is released only once");
    --statistics.in_flight;
    if (!released.counts_as_job) return;
    ++statistics.total_jobs;
    statistics.last_run = released.run;
    statistics.released_at = released.at;
  }
  void operator()(statistics_event::EndedWaiting ended) {
    MGPU_ASSERT(statistics.queue_depth > 0, "only a waiting ticket ends without a lease");
    --statistics.queue_depth;
    ++(ended.code == ErrorCode::cancelled    ? statistics.cancelled
       : ended.code == ErrorCode::wait_limit ? statistics.expired
                                             : statistics.refused);
  }
  void operator()(statistics_event::Requeued) {
    MGPU_ASSERT(statistics.in_flight > 0, "only a running lease is requeued");
    --statistics.in_flight, ++statistics.queue_depth, ++statistics.memory_retries;
  }
  void operator()(statistics_event::LoadStarted started) {
    ++statistics.loads, statistics.loads_ahead += started.ahead ? 1 : 0;
  }
  void operator()(statistics_event::LoadedInVain) { ++statistics.loads_in_vain; }
  void operator()(statistics_event::Overtaken) { ++statistics.overtakes; }
  void operator()(statistics_event::LoadFailed) { ++statistics.load_failures; }
  void operator()(statistics_event::EvictionDone) { ++statistics.evictions; }
  void operator()(statistics_event::EvictionGivenUp) { ++statistics.eviction_failures; }
};

}  // namespace

void update_statistics(Statistics& statistics, const StatisticsEvent& event) {
  std::visit(StatisticsUpdater{statistics}, event);
}

Statistics sum_statistics(const Statistics& a, const Statistics& b) {
  Statistics sum = a;
  sum.queue_depth += b.queue_depth;
  sum.in_flight += b.in_flight;
  sum.total_jobs += b.total_jobs;
  sum.refused += b.refused;
  sum.cancelled += b.cancelled;
  sum.expired += b.expired;
  sum.loads += b.loads;
  sum.loads_ahead += b.loads_ahead;
  sum.loads_in_vain += b.loads_in_vain;
  sum.overtakes += b.overtakes;
  sum.memory_retries += b.memory_retries;
  sum.load_failures += b.load_failures;
  sum.evictions += b.evictions;
  sum.eviction_failures += b.eviction_failures;
  if (b.granted_at > a.granted_at) sum.last_wait = b.last_wait, sum.granted_at = b.granted_at;
  if (b.released_at > a.released_at) sum.last_run = b.last_run, sum.released_at = b.released_at;
  if (b.oldest_queued) sum.oldest_queued = std::min(*b.oldest_queued, a.oldest_queued.value_or(kNever));
  return sum;
}

}  // namespace mgpu
