// Equal inputs give equal effects, equal journals and equal explanations: byte for byte, as people and
// programs read them. The inputs are those of the simulator's lives, with everything that goes wrong in them.
//
// Two worlds are told the same events. One of them keeps its tickets in a table of another size, so that an
// order that comes from hashing, and not from the events, shows. What the core may remember outside of the
// world would show, too.
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "api/codec.h"
#include "api/explanation_json.h"
#include "sched/start_estimate.h"
#include "sched/step.h"

#include "explain/explanation.h"
#include "scenario_generator.h"

namespace mgpu::sim {
namespace {

constexpr std::size_t kOtherBucketCount = 4099;  // buckets of the second world's table

std::chrono::system_clock::time_point wall_time(Instant at) {
  return std::chrono::system_clock::time_point{std::chrono::microseconds{at.us}};
}

std::string user_label(std::uint32_t user) { return "user " + std::to_string(user); }

// A life as it was written down.
struct RecordedRun {
  World world{};
  std::deque<JournalEntry> journal{};
  std::vector<TicketId> tickets{};  // all that ever came

  void append_entry(Instant at, std::variant<EventPayload, Effect> what) {
    journal.push_back({.id = journal.size() + 1, .at = at, .payload = std::move(what)});
  }
  std::optional<explain::Explanation> explanation(TicketId id) const {
    const auto found = world.tickets.find(id);
    return explain::explain(journal, world.registry, id,
                            found == world.tickets.end() ? nullptr : &found->second, world.now);
  }
};

RecordedRun record_run(const ScenarioPrefix& scenario, std::size_t buckets) {
  RecordedRun run{.world = scenario.world};
  run.world.tickets.rehash(buckets);
  for (const Event& event : scenario.events) {
    run.append_entry(event.at, event.payload);
    for (Effect& effect : step(run.world, event)) run.append_entry(event.at, std::move(effect));
    if (const auto* arrival = std::get_if<TicketArrived>(&event.payload))
      run.tickets.push_back(arrival->ticket);
  }
  return run;
}

// Everything that can be read of it, line by line.
std::vector<std::string> rendered_lines(const RecordedRun& run) {
  std::vector<std::string> lines;
  const api::RenderContext wording{
      .registry = run.world.registry, .journal = run.journal, .wall = wall_time, .user_labels = user_label};
  for (const JournalEntry& entry : run.journal)
    lines.push_back(api::dump(api::entry_json(entry, run.world.registry, wall_time, user_label)));
  for (const TicketId id : run.tickets)
    if (const auto explanation = run.explanation(id))
      lines.push_back(api::dump(api::explanation_json(*explanation, wording)));
  for (std::size_t i = 0; i < run.world.lines.size(); ++i)
    for (const auto& [id, at] : estimated_starts(run.world, DeviceId{i}))
      lines.push_back("ticket " + std::to_string(id.value) + " at " + std::to_string(at.us));
  return lines;
}

TEST(EqualInputs, GiveEqualJournalsAndEqualExplanations) {
  const bool held = rc::check("two worlds that hear the same tell the same", [] {
    const ScenarioPrefix scenario = draw_scenario();
    const auto one = rendered_lines(record_run(scenario, 1)),
               other = rendered_lines(record_run(scenario, kOtherBucketCount));
    RC_ASSERT(one.size() == other.size());
    for (std::size_t i = 0; i < one.size(); ++i)
      if (one[i] != other[i]) RC_FAIL(one[i] + "\n" + other[i]);
  });
  EXPECT_TRUE(held);
}

// From its arrival on, until it ran or was refused or until now, a ticket waits for something at every
// moment; and again from when it had to wait anew.
void assert_no_gaps(const explain::Explanation& explanation, Instant now) {
  RC_ASSERT(explanation.arrived.has_value() && !explanation.truncated);
  const auto is_requeued_at = [&](Instant at) {
    return std::ranges::find(explanation.requeued, at) != explanation.requeued.end();
  };
  Instant at = *explanation.arrived;
  Duration sum{0};
  for (const explain::WaitSegment& segment : explanation.segments) {
    RC_ASSERT(segment.from < segment.until);
    RC_ASSERT(segment.from == at || is_requeued_at(segment.from) || explanation.segments_dropped > 0);
    at = segment.until;
    sum += segment.until - segment.from;
  }
  if (explanation.state == explain::TicketState::waiting) RC_ASSERT(at == now || is_requeued_at(now));
  if (explanation.state == explain::TicketState::running)
    RC_ASSERT(at == *explanation.granted || is_requeued_at(*explanation.granted));
  if (explanation.requeued.empty() && explanation.segments_dropped == 0) RC_ASSERT(sum == explanation.waited);
}

TEST(Explanations, CoverTheWholeWait) {
  const bool held = rc::check("there is a cause for every moment of a wait", [] {
    const ScenarioPrefix scenario = draw_scenario();
    const RecordedRun run = record_run(scenario, 1);
    for (const TicketId id : run.tickets) {
      const auto explanation = run.explanation(id);
      RC_ASSERT(explanation.has_value());
      assert_no_gaps(*explanation, run.world.now);
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace mgpu::sim
