// Properties: equal events give equal effects, journals and explanations, byte for byte in their text and
// JSON. The events are those of the simulator, with all its faults.
//
// Two worlds process the same events. One of them has a hash table of another size for its tickets, which
// reveals results that depend on the hash order. State of the core outside the world would be revealed, too.
#include <memory>
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

constexpr std::size_t kOtherBucketCount = 4099;  // of the second world's hash table

std::chrono::system_clock::time_point wall_time(Instant at) {
  return std::chrono::system_clock::time_point{std::chrono::microseconds{at.us}};
}

std::string user_label(std::uint32_t user) { return "user " + std::to_string(user); }

// A world after a scenario, with its journal.
struct RecordedRun {
  World world{};
  JournalEntries journal{};
  std::vector<TicketId> tickets{};  // all that arrived

  void append_entry(Instant at, std::variant<EventPayload, Effect> payload) {
    journal.push_back(std::make_shared<JournalEntry>(
        JournalEntry{.id = journal.size() + 1, .at = at, .payload = std::move(payload)}));
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

// All journal entries, explanations and estimates, one a line.
std::vector<std::string> rendered_lines(const RecordedRun& run) {
  std::vector<std::string> lines;
  const api::RenderContext render_context{
      .registry = run.world.registry, .journal = run.journal, .wall = wall_time, .user_labels = user_label};
  for (const JournalEntryPtr& entry : run.journal)
    lines.push_back(api::dump(api::entry_json(*entry, run.world.registry, wall_time, user_label)));
  for (const TicketId id : run.tickets)
    if (const auto explanation = run.explanation(id))
      lines.push_back(api::dump(api::explanation_json(*explanation, render_context)));
  for (std::size_t i = 0; i < run.world.lines.size(); ++i)
    for (const auto& [id, at] : estimated_starts(run.world, DeviceId{i}))
      lines.push_back("ticket " + std::to_string(id.value) + " at " + std::to_string(at.us));
  return lines;
}

TEST(EqualInputs, GiveEqualJournalsAndEqualExplanations) {
  const bool holds = rc::check("equal events give equal output", [] {
    const ScenarioPrefix scenario = draw_scenario();
    const auto lines = rendered_lines(record_run(scenario, 1));
    const auto other_lines = rendered_lines(record_run(scenario, kOtherBucketCount));
    RC_ASSERT(lines.size() == other_lines.size());
    for (std::size_t i = 0; i < lines.size(); ++i)
      if (lines[i] != other_lines[i]) RC_FAIL(lines[i] + "\n" + other_lines[i]);
  });
  EXPECT_TRUE(holds);
}

// The segments cover the whole wait of a ticket: from its arrival until it was granted or refused, or until
// now; and again from each requeue.
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
  const bool holds = rc::check("the whole wait has causes", [] {
    const ScenarioPrefix scenario = draw_scenario();
    const RecordedRun run = record_run(scenario, 1);
    for (const TicketId id : run.tickets) {
      const auto explanation = run.explanation(id);
      RC_ASSERT(explanation.has_value());
      assert_no_gaps(*explanation, run.world.now);
    }
  });
  EXPECT_TRUE(holds);
}

}  // namespace
}  // namespace mgpu::sim
