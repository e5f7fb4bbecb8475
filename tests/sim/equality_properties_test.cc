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
#include "history.h"

namespace mgpu::sim {
namespace {

constexpr std::size_t kRoomy = 4099;  // buckets of the second world's table

std::chrono::system_clock::time_point wall(Instant at) {
  return std::chrono::system_clock::time_point{std::chrono::microseconds{at.us}};
}

std::string user_shown(std::uint32_t user) { return "user " + std::to_string(user); }

// A life as it was written down.
struct Written {
  World world{};
  std::deque<JournalEntry> journal{};
  std::vector<TicketId> tickets{};  // all that ever came

  void write(Instant at, std::variant<EventPayload, Effect> what) {
    journal.push_back({.id = journal.size() + 1, .at = at, .payload = std::move(what)});
  }
  std::optional<explain::Explanation> explanation(TicketId id) const {
    const auto there = world.tickets.find(id);
    return explain::explain(journal, world.registry, id,
                            there == world.tickets.end() ? nullptr : &there->second, world.now);
  }
};

Written written(const History& history, std::size_t buckets) {
  Written written{.world = history.world};
  written.world.tickets.rehash(buckets);
  for (const Event& event : history.events) {
    written.write(event.at, event.payload);
    for (Effect& effect : step(written.world, event)) written.write(event.at, std::move(effect));
    if (const auto* arrival = std::get_if<TicketArrived>(&event.payload))
      written.tickets.push_back(arrival->ticket);
  }
  return written;
}

// Everything that can be read of it, line by line.
std::vector<std::string> read(const Written& life) {
  std::vector<std::string> lines;
  const api::RenderContext wording{
      .registry = life.world.registry, .journal = life.journal, .wall = wall, .user_labels = user_shown};
  for (const JournalEntry& entry : life.journal)
    lines.push_back(api::dump(api::entry_json(entry, life.world.registry, wall, user_shown)));
  for (const TicketId id : life.tickets)
    if (const auto told = life.explanation(id))
      lines.push_back(api::dump(api::explanation_json(*told, wording)));
  for (std::size_t i = 0; i < life.world.lines.size(); ++i)
    for (const auto& [id, at] : estimated_starts(life.world, DeviceId{i}))
      lines.push_back("ticket " + std::to_string(id.value) + " at " + std::to_string(at.us));
  return lines;
}

TEST(EqualInputs, GiveEqualJournalsAndEqualExplanations) {
  const bool held = rc::check("two worlds that hear the same tell the same", [] {
    const History history = some_history();
    const auto one = read(written(history, 1)), other = read(written(history, kRoomy));
    RC_ASSERT(one.size() == other.size());
    for (std::size_t i = 0; i < one.size(); ++i)
      if (one[i] != other[i]) RC_FAIL(one[i] + "\n" + other[i]);
  });
  EXPECT_TRUE(held);
}

// From its arrival on, until it ran or was refused or until now, a ticket waits for something at every
// moment; and again from when it had to wait anew.
void is_without_gaps(const explain::Explanation& told, Instant now) {
  RC_ASSERT(told.arrived.has_value() && !told.truncated);
  const auto anew = [&](Instant at) { return std::ranges::find(told.requeued, at) != told.requeued.end(); };
  Instant at = *told.arrived;
  Duration sum{0};
  for (const explain::WaitSegment& segment : told.segments) {
    RC_ASSERT(segment.from < segment.until);
    RC_ASSERT(segment.from == at || anew(segment.from) || told.segments_dropped > 0);
    at = segment.until;
    sum += segment.until - segment.from;
  }
  if (told.state == explain::TicketState::waiting) RC_ASSERT(at == now || anew(now));
  if (told.state == explain::TicketState::running) RC_ASSERT(at == *told.granted || anew(*told.granted));
  if (told.requeued.empty() && told.segments_dropped == 0) RC_ASSERT(sum == told.waited);
}

TEST(Explanations, CoverTheWholeWait) {
  const bool held = rc::check("there is a cause for every moment of a wait", [] {
    const History history = some_history();
    const Written life = written(history, 1);
    for (const TicketId id : life.tickets) {
      const auto told = life.explanation(id);
      RC_ASSERT(told.has_value());
      is_without_gaps(*told, life.world.now);
    }
  });
  EXPECT_TRUE(held);
}

}  // namespace
}  // namespace mgpu::sim
