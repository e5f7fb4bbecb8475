#include "sched/statistics.h"

#include <algorithm>

#include "base/assert.h"

namespace mgpu {
namespace {

struct Fold {
  Statistics& s;

  void operator()(fact::Arrived) { ++s.queue_depth; }
  void operator()(fact::Granted granted) {
    MGPU_ASSERT(s.queue_depth > 0, "only a waiting ticket is granted");
    --s.queue_depth, ++s.in_flight;
    s.last_wait = granted.waited;
    s.granted_at = granted.at;
  }
  void operator()(fact::Released released) {
    MGPU_ASSERT(s.in_flight > 0, "a lease is released once");
    --s.in_flight;
    if (!released.counts) return;
    ++s.total_jobs;
    s.last_run = released.ran;
    s.released_at = released.at;
  }
  void operator()(fact::EndedWaiting ended) {
    MGPU_ASSERT(s.queue_depth > 0, "only a waiting ticket ends without a lease");
    --s.queue_depth;
    ++(ended.why == ErrorCode::cancelled    ? s.cancelled
       : ended.why == ErrorCode::wait_limit ? s.expired
                                            : s.refused);
  }
  void operator()(fact::Requeued) {
    MGPU_ASSERT(s.in_flight > 0, "only a lease waits again");
    --s.in_flight, ++s.queue_depth, ++s.memory_retries;
  }
  void operator()(fact::LoadStarted started) { ++s.loads, s.loads_ahead += started.ahead ? 1 : 0; }
  void operator()(fact::LoadWasInVain) { ++s.loads_in_vain; }
  void operator()(fact::Overtaken) { ++s.overtakes; }
  void operator()(fact::LoadFailed) { ++s.load_failures; }
  void operator()(fact::EvictionDone) { ++s.evictions; }
  void operator()(fact::EvictionGivenUp) { ++s.eviction_failures; }
};

}  // namespace

void fold(Statistics& statistics, const Fact& fact) { std::visit(Fold{statistics}, fact); }

Statistics sum_of(const Statistics& a, const Statistics& b) {
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
