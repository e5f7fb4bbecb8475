#include "explain/sentences.h"

#include <algorithm>
#include <cstdio>

#include "domain/enum_names.h"

namespace mgpu::explain {
namespace {

std::string number(TicketId ticket) { return "ticket " + std::to_string(ticket.value); }

std::string capital(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

class Telling {
 public:
  explicit Telling(const Naming& naming) : naming_(naming) {}

  std::string name(ResidentId id) const {
    const Resident& resident = naming_.registry[id];
    const std::string& consumer = naming_.registry[resident.consumer].spec.name;
    return resident.ai_model.empty() ? consumer : consumer + "/" + resident.ai_model;
  }
  std::string name(const TicketRequest& ask) const {
    if (ask.resident) return name(*ask.resident);
    if (ask.consumer) return naming_.registry[*ask.consumer].spec.name;
    return to_string(ask.bytes) + " of its own";
  }
  // "ticket 7 (chat)"
  std::string who(TicketId ticket) const {
    const auto ask = ask_in(naming_.journal, ticket);
    return number(ticket) + (ask ? " (" + name(*ask) + ")" : "");
  }
  std::string time(Instant at) const { return naming_.time(at); }

  std::string cause(const Segment& segment) const {
    switch (segment.cause) {
      case Cause::turn:
        return segment.behind ? "behind " + who(*segment.behind) + ", which had the turn"
                              : "behind a turn that began before what the journal keeps";
      case Cause::line:
        return (segment.behind ? "behind " + who(*segment.behind) + ", which was made ready: "
                               : std::string("while something else moved: ")) +
               name(*segment.resident) + " moved";
      case Cause::eviction:
        return "for " + name(*segment.resident) + " to leave";
      case Cause::load:
        return "for " + name(*segment.resident) + " to load";
      case Cause::reading:
        return "for a fresh reading of the device's memory";
      case Cause::pause:
        return "because " + name(*segment.resident) + " had failed to load and was not tried again yet";
      case Cause::memory:
        return "for memory that is not ours to free";
    }
    return "";
  }

 private:
  const Naming& naming_;
};

std::string why_it_may(OvertakeReason why) {
  switch (why) {
    case OvertakeReason::same_turn:
      return "its consumer had the turn";
    case OvertakeReason::warm:
      return "what it needs was loaded";
    case OvertakeReason::cheaper_change:
      return "its change of residents served more work for its seconds";
    case OvertakeReason::loaded_ahead:
      return "it was loaded ahead, and serves before it may leave";
    case OvertakeReason::due_at_last:
      return "it had been overtaken itself for as long as may be";
    case OvertakeReason::other_device:
      return "it needs several devices at once, and its turn had come on another of them";
  }
  return "";
}

std::string arrival(const Explanation& told, const Telling& telling) {
  std::string text = capital(number(told.ticket));
  if (told.ask) text += ", for " + telling.name(*told.ask) + ",";
  text += " came";
  if (told.arrived) text += " at " + telling.time(*told.arrived);
  if (told.ask && told.ask->priority) text += " as " + std::string(to_string(*told.ask->priority));
  text += ".";
  if (told.beginning_gone)
    text += " The journal does not reach back so far: the beginning of its story is gone (limits.events).";
  return text;
}

// What it waited for, in order; neighbours of one kind are told as one.
std::string waiting(const Explanation& told, const Telling& telling) {
  constexpr std::size_t kTold = 12;  // a long wait behind many is told by its last ones
  std::string text = "It waited " + readable(told.waited);
  const std::size_t from = told.segments.size() > kTold ? told.segments.size() - kTold : 0;
  const std::size_t left_off = from + told.segments_left_off;
  const char* joint = ": ";
  if (left_off > 0) {
    Duration before{};
    for (std::size_t i = 0; i < from; ++i) before += told.segments[i].until - told.segments[i].from;
    text += joint + (readable(before) + " for " + std::to_string(left_off) + " other things before");
    joint = ", then ";
  }
  for (std::size_t i = from; i < told.segments.size(); ++i) {
    const Segment& segment = told.segments[i];
    text += joint + (readable(segment.until - segment.from) + " " + telling.cause(segment));
    joint = ", then ";
  }
  return text + ".";
}

std::string times(std::uint32_t count) {
  return count == 1 ? "one ticket" : std::to_string(count) + " tickets";
}

std::string plan(const Plan& plan, const Telling& telling) {
  const auto price = [](const EvictionCandidate& one) {
    char value[32];
    std::snprintf(value, sizeof value, "%.2f", one.retention_value);
    return to_string(one.yield_bytes) + ", " + readable(one.reload_time) + " to bring back, " + value +
           " s expected for each GiB";
  };
  std::string left, stayed;
  for (const EvictionCandidate& one : plan.considered) {
    std::string& list = one.chosen ? left : stayed;
    list += (list.empty() ? "" : "; ") + telling.name(one.resident) + " (" + price(one) + ")";
  }
  std::string text = std::string("To make room") +
                     (plan.reason == PlanReason::ahead ? " ahead of its turn" : "") + " (" +
                     to_string(plan.needed) + " were missing)";
  if (plan.considered.empty()) return text + " others had to leave.";
  text += ", " + (left.empty() ? "nobody" : left) + " had to leave";
  return text + (stayed.empty() ? ", for nobody else could." : "; not " + stayed + ".");
}

std::string eviction(const Move& move, const Telling& telling) {
  const std::string who = capital(telling.name(move.resident));
  if (!move.until) return who + " is leaving still.";
  if (move.failed) return who + " did not leave: " + move.failed->detail + ".";
  return who + " left within " + readable(*move.until - move.from) + " (" +
         std::string(move.rung ? to_string(*move.rung) : "") + "), which freed " + to_string(move.freed) +
         ".";
}

std::string load(const Move& move, const Telling& telling) {
  const std::string who = capital(telling.name(move.resident));
  if (!move.until) return who + " is loading still.";
  const std::string took = readable(*move.until - move.from);
  if (move.failed) return who + " failed to load after " + took + ": " + move.failed->detail + ".";
  return who + " was loaded in " + took + (move.from_parked ? ", from host memory." : ".");
}

std::string ending(const Explanation& told, const Telling& telling) {
  const std::string at = told.granted ? " at " + telling.time(*told.granted) : "";
  switch (told.stand) {
    case Stand::waiting:
      return "It waits still.";
    case Stand::running:
      return "It was granted" + at + " and runs.";
    case Stand::done:
      return "It was granted" + at +
             (told.why ? ", and ended early: " + told.why->detail + "." : ", and is done.");
    case Stand::refused:
      return "It was refused: " +
             (told.why ? std::string(to_string(told.why->code)) + ", " + told.why->detail
                       : std::string("for no reason that is kept")) +
             ".";
  }
  return "";
}

std::string list_of(const std::vector<TicketId>& tickets, const Telling& telling) {
  std::string text;
  for (const TicketId ticket : tickets) text += (text.empty() ? "" : ", ") + telling.who(ticket);
  return text;
}

}  // namespace

std::string readable(Duration duration) {
  char text[32];
  const double ms = to_ms(duration);
  if (ms < 1000)
    std::snprintf(text, sizeof text, "%.0f ms", ms);
  else
    std::snprintf(text, sizeof text, "%.1f s", ms / 1000);
  return text;
}

std::vector<std::string> sentences(const Explanation& told, const Naming& naming) {
  const Telling telling(naming);
  std::vector<std::string> text{arrival(told, telling)};
  text.push_back(waiting(told, telling));
  for (const Passing& one : told.passed_by)
    text.push_back(capital(telling.who(one.other)) + " went before it at " + telling.time(one.at) + ": " +
                   why_it_may(one.why) + ".");
  for (const Passing& one : told.passed_others)
    text.push_back("It went before " + times(one.passed) + ", " + telling.who(one.other) + " the first, at " +
                   telling.time(one.at) + ": " + why_it_may(one.why) + ".");
  for (const Plan& one : told.plans) text.push_back(plan(one, telling));
  for (const Move& one : told.evictions) text.push_back(eviction(one, telling));
  for (const Move& one : told.loads) text.push_back(load(one, telling));
  for (const Instant at : told.requeued)
    text.push_back("Its service ran out of memory at " + telling.time(at) + ", and it waited again.");
  text.push_back(ending(told, telling));
  return text;
}

std::vector<std::string> sentences(const Prospect& told, const Naming& naming) {
  const Telling telling(naming);
  const std::string it = "A ticket for " + telling.name(told.ask);
  if (told.refused)
    return {it + " would be refused: " + std::string(to_string(told.refused->code)) + ", " +
            told.refused->detail + "."};
  if (told.stage == TicketStage::running) return {it + " would be granted at once."};
  std::vector<std::string> text;
  if (told.stage == TicketStage::waiting) {
    text.push_back(it + " would wait" +
                   (told.place > 0 ? ", " + std::to_string(told.place) + ". in the line." : "."));
    if (!told.holders.empty()) text.push_back("The turn is with " + list_of(told.holders, telling) + ".");
    if (!told.before.empty()) {
      const std::size_t more = told.place - 1 - std::min(told.place - 1, told.before.size());
      text.push_back("Before it: " + list_of(told.before, telling) +
                     (more > 0 ? " and " + std::to_string(more) + " more." : "."));
    }
  } else {
    text.push_back(it + " would have its turn at once.");
  }
  for (const Effect& effect : told.effects)
    if (const auto* planned = std::get_if<Planned>(&effect); planned && planned->ticket == told.ticket)
      text.push_back(plan(plan_of(*planned), telling));
  if (told.must_load) text.push_back(capital(telling.name(told.ask)) + " would have to be loaded.");
  if (told.estimated_start)
    text.push_back("It could be expected to start in " + readable(told.estimated_wait) + ".");
  return text;
}

}  // namespace mgpu::explain
