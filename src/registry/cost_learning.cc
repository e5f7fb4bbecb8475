#include "registry/cost_learning.h"

#include <algorithm>

namespace mgpu {
namespace {

constexpr int kRunSmoothing = 8;  // a new sample has the weight 1/8 in the moving average
constexpr std::uint16_t kMaxHourCount = 1'000;

void update_moving_average(Duration& average, Duration sample) {
  average = average == Duration{0} ? sample : average + (sample - average) / kRunSmoothing;
}

// Loads are rare and conditions change between them, so the latest sample has the weight 1/2.
void average_with_latest(Duration& average, Duration sample) {
  sample = std::max(sample, Duration{1});
  average = average == Duration{0} ? sample : (average + sample) / 2;
}

}  // namespace

void learn_load_start(Registry& registry, ResidentId id, Instant now) {
  registry[id].transition_at = now;
  observe_load(registry, id);
}

void learn_load_end(Registry& registry, ResidentId id, Instant now, LoadSource source) {
  Resident& resident = registry[id];
  LearnedCosts& learned = resident.costs;
  Duration& average = source == LoadSource::parked   ? learned.load_parked
                      : source == LoadSource::cached ? learned.load_cached
                                                     : learned.load_cold;
  average_with_latest(average, now - resident.transition_at);
  resident.transition_at = now;
  resident.ran_out_of_memory = false;
  ++learned.loads;
}

void learn_eviction(Registry& registry, ResidentId id, Instant now, Rung rung, bool has_left) {
  Resident& resident = registry[id];
  average_with_latest(rung == Rung::park ? resident.costs.park : resident.costs.unload,
                      now - resident.transition_at);
  learn_departure(registry, id, has_left);
}

void learn_run(Registry& registry, ResidentId id, Duration run, std::uint8_t hour) {
  LearnedCosts& learned = registry[id].costs;
  update_moving_average(learned.run, run);
  ++learned.runs;
  if (++learned.runs_by_hour[hour % 24] < kMaxHourCount) return;
  for (std::uint16_t& count : learned.runs_by_hour) count = static_cast<std::uint16_t>(count / 2);
}

}  // namespace mgpu
