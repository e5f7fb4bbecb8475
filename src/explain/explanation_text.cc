#include "explain/explanation_text.h"

#include <algorithm>
#include <cstdio>

#include "domain/enum_names.h"

namespace mgpu::explain {
namespace {

std::string ticket_label(TicketId ticket) { return "ticket " + std::to_string(ticket.value); }

std::string capitalized(std::string text) {
  if (!text.empty() && text[0] >= 'a' && text[0] <= 'z') text[0] = static_cast<char>(text[0] - 'a' + 'A');
  return text;
}

class NameFormatter {
 public:
  explicit NameFormatter(const FormatContext& context) : context_(context) {}

  std::string resident_name(ResidentId id) const {
    const Resident& resident = context_.registry[id];
    const std::string& consumer = context_.registry[resident.consumer].spec.name;
    return resident.ai_model.empty() ? consumer : consumer + "/" + resident.ai_model;
  }
  std::string ask_name(const TicketRequest& ask) const {
    if (ask.resident) return resident_name(*ask.resident);
    if (ask.consumer) return context_.registry[*ask.consumer].spec.name;
    return to_string(ask.bytes) + " of its own";
  }
  // "ticket 7 (chat)"
  std::string ticket_name(TicketId ticket) const {
    const auto ask = find_ask(context_.journal, ticket);
    return ticket_label(ticket) + (ask ? " (" + ask_name(*ask) + ")" : "");
  }
  std::string format_time(Instant at) const { return context_.time(at); }

  std::string format_cause(const WaitSegment& segment) const {
    switch (segment.cause) {
      case WaitCause::turn:
        return segment.behind ? "behind " + ticket_name(*segment.behind) + ", which had the turn"
                              : "behind a turn that began before what the journal keeps";
      case WaitCause::line:
        return (segment.behind ? "behind " + ticket_name(*segment.behind) + ", which was made ready: "
                               : std::string("while something else moved: ")) +
               resident_name(*segment.resident) + " moved";
      case WaitCause::eviction:
        return "for " + resident_name(*segment.resident) + " to leave";
      case WaitCause::load:
        return "for " + resident_name(*segment.resident) + " to load";
      case WaitCause::reading:
        return "for a fresh reading of the device's memory";
      case WaitCause::pause:
        return "because " + resident_name(*segment.resident) +
               " had failed to load and was not tried again yet";
      case WaitCause::memory:
        return "for memory that is not ours to free";
    }
    return "";
  }

 private:
  const FormatContext& context_;
};

std::string overtaking_reason(OvertakeReason reason) {
  switch (reason) {
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

std::string arrival_sentence(const Explanation& explanation, const NameFormatter& names) {
  std::string text = capitalized(ticket_label(explanation.ticket));
  if (explanation.ask) text += ", for " + names.ask_name(*explanation.ask) + ",";
  text += " came";
  if (explanation.arrived) text += " at " + names.format_time(*explanation.arrived);
  if (explanation.ask && explanation.ask->priority)
    text += " as " + std::string(to_string(*explanation.ask->priority));
  text += ".";
  if (explanation.truncated)
    text += " The journal does not reach back so far: the beginning of its story is gone (limits.events).";
  return text;
}

// What it waited for, in order; neighbours of one kind are told as one.
std::string waiting_sentence(const Explanation& explanation, const NameFormatter& names) {
  constexpr std::size_t kMaxListed = 12;  // a long wait behind many is told by its last ones
  std::string text = "It waited " + format_duration(explanation.waited);
  const std::size_t from =
      explanation.segments.size() > kMaxListed ? explanation.segments.size() - kMaxListed : 0;
  const std::size_t left_off = from + explanation.segments_dropped;
  const char* separator = ": ";
  if (left_off > 0) {
    Duration before{};
    for (std::size_t i = 0; i < from; ++i)
      before += explanation.segments[i].until - explanation.segments[i].from;
    text +=
        separator + (format_duration(before) + " for " + std::to_string(left_off) + " other things before");
    separator = ", then ";
  }
  for (std::size_t i = from; i < explanation.segments.size(); ++i) {
    const WaitSegment& segment = explanation.segments[i];
    text += separator + (format_duration(segment.until - segment.from) + " " + names.format_cause(segment));
    separator = ", then ";
  }
  return text + ".";
}

std::string ticket_count(std::uint32_t count) {
  return count == 1 ? "one ticket" : std::to_string(count) + " tickets";
}

std::string plan_sentence(const Plan& plan, const NameFormatter& names) {
  const auto format_price = [](const EvictionCandidate& one) {
    char value[32];
    std::snprintf(value, sizeof value, "%.2f", one.retention_value);
    return to_string(one.yield_bytes) + ", " + format_duration(one.reload_time) + " to bring back, " + value +
           " s expected for each GiB";
  };
  std::string left, stayed;
  for (const EvictionCandidate& one : plan.considered) {
    std::string& list = one.chosen ? left : stayed;
    list += (list.empty() ? "" : "; ") + names.resident_name(one.resident) + " (" + format_price(one) + ")";
  }
  std::string text = std::string("To make room") +
                     (plan.reason == PlanReason::ahead ? " ahead of its turn" : "") + " (" +
                     to_string(plan.needed) + " were missing)";
  if (plan.considered.empty()) return text + " others had to leave.";
  text += ", " + (left.empty() ? "nobody" : left) + " had to leave";
  return text + (stayed.empty() ? ", for nobody else could." : "; not " + stayed + ".");
}

std::string eviction_sentence(const ResidencyChange& move, const NameFormatter& names) {
  const std::string who = capitalized(names.resident_name(move.resident));
  if (!move.until) return who + " is leaving still.";
  if (move.failed) return who + " did not leave: " + move.failed->detail + ".";
  return who + " left within " + format_duration(*move.until - move.from) + " (" +
         std::string(move.rung ? to_string(*move.rung) : "") + "), which freed " + to_string(move.freed) +
         ".";
}

std::string load_sentence(const ResidencyChange& move, const NameFormatter& names) {
  const std::string who = capitalized(names.resident_name(move.resident));
  if (!move.until) return who + " is loading still.";
  const std::string took = format_duration(*move.until - move.from);
  if (move.failed) return who + " failed to load after " + took + ": " + move.failed->detail + ".";
  return who + " was loaded in " + took + (move.from_parked ? ", from host memory." : ".");
}

std::string ending_sentence(const Explanation& explanation, const NameFormatter& names) {
  const std::string at = explanation.granted ? " at " + names.format_time(*explanation.granted) : "";
  switch (explanation.state) {
    case TicketState::waiting:
      return "It waits still.";
    case TicketState::running:
      return "It was granted" + at + " and runs.";
    case TicketState::done:
      return "It was granted" + at +
             (explanation.why ? ", and ended early: " + explanation.why->detail + "." : ", and is done.");
    case TicketState::refused:
      return "It was refused: " +
             (explanation.why ? std::string(to_string(explanation.why->code)) + ", " + explanation.why->detail
                              : std::string("for no reason that is kept")) +
             ".";
  }
  return "";
}

std::string ticket_list(const std::vector<TicketId>& tickets, const NameFormatter& names) {
  std::string text;
  for (const TicketId ticket : tickets) text += (text.empty() ? "" : ", ") + names.ticket_name(ticket);
  return text;
}

}  // namespace

std::string format_duration(Duration duration) {
  char text[32];
  const double ms = to_ms(duration);
  if (ms < 1000)
    std::snprintf(text, sizeof text, "%.0f ms", ms);
  else
    std::snprintf(text, sizeof text, "%.1f s", ms / 1000);
  return text;
}

std::vector<std::string> format_sentences(const Explanation& explanation, const FormatContext& context) {
  const NameFormatter names(context);
  std::vector<std::string> text{arrival_sentence(explanation, names)};
  text.push_back(waiting_sentence(explanation, names));
  for (const OvertakeRecord& one : explanation.passed_by)
    text.push_back(capitalized(names.ticket_name(one.other)) + " went before it at " +
                   names.format_time(one.at) + ": " + overtaking_reason(one.why) + ".");
  for (const OvertakeRecord& one : explanation.passed_others)
    text.push_back("It went before " + ticket_count(one.passed) + ", " + names.ticket_name(one.other) +
                   " the first, at " + names.format_time(one.at) + ": " + overtaking_reason(one.why) + ".");
  for (const Plan& one : explanation.plans) text.push_back(plan_sentence(one, names));
  for (const ResidencyChange& one : explanation.evictions) text.push_back(eviction_sentence(one, names));
  for (const ResidencyChange& one : explanation.loads) text.push_back(load_sentence(one, names));
  for (const Instant at : explanation.requeued)
    text.push_back("Its service ran out of memory at " + names.format_time(at) + ", and it waited again.");
  text.push_back(ending_sentence(explanation, names));
  return text;
}

std::vector<std::string> format_sentences(const WhatIf& what_if_result, const FormatContext& context) {
  const NameFormatter names(context);
  const std::string it = "A ticket for " + names.ask_name(what_if_result.ask);
  if (what_if_result.refused)
    return {it + " would be refused: " + std::string(to_string(what_if_result.refused->code)) + ", " +
            what_if_result.refused->detail + "."};
  if (what_if_result.stage == TicketStage::running) return {it + " would be granted at once."};
  std::vector<std::string> text;
  if (what_if_result.stage == TicketStage::waiting) {
    text.push_back(
        it + " would wait" +
        (what_if_result.place > 0 ? ", " + std::to_string(what_if_result.place) + ". in the line." : "."));
    if (!what_if_result.turn_holders.empty())
      text.push_back("The turn is with " + ticket_list(what_if_result.turn_holders, names) + ".");
    if (!what_if_result.tickets_ahead.empty()) {
      const std::size_t more =
          what_if_result.place - 1 - std::min(what_if_result.place - 1, what_if_result.tickets_ahead.size());
      text.push_back("Before it: " + ticket_list(what_if_result.tickets_ahead, names) +
                     (more > 0 ? " and " + std::to_string(more) + " more." : "."));
    }
  } else {
    text.push_back(it + " would have its turn at once.");
  }
  for (const Effect& effect : what_if_result.effects)
    if (const auto* planned = std::get_if<Planned>(&effect);
        planned && planned->ticket == what_if_result.ticket)
      text.push_back(plan_sentence(plan_of(*planned), names));
  if (what_if_result.must_load)
    text.push_back(capitalized(names.ask_name(what_if_result.ask)) + " would have to be loaded.");
  if (what_if_result.estimated_start)
    text.push_back("It could be expected to start in " + format_duration(what_if_result.estimated_wait) +
                   ".");
  return text;
}

}  // namespace mgpu::explain
