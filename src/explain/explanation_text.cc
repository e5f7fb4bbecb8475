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
  std::string request_name(const TicketRequest& request) const {
    if (request.resident) return resident_name(*request.resident);
    if (request.consumer) return context_.registry[*request.consumer].spec.name;
    return "a bare lease of " + to_string(request.bytes);
  }
  // "ticket 7 (chat)"
  std::string ticket_name(TicketId ticket) const {
    const auto request = find_request(context_.journal, ticket);
    return ticket_label(ticket) + (request ? " (" + request_name(*request) + ")" : "");
  }
  std::string format_time(Instant at) const { return context_.time(at); }

  std::string format_cause(const WaitSegment& segment) const {
    switch (segment.cause) {
      case WaitCause::turn:
        return segment.behind ? "behind " + ticket_name(*segment.behind) + ", which had the turn"
                              : "behind a turn that began before the journal";
      case WaitCause::line:
        return (segment.behind ? "behind " + ticket_name(*segment.behind) + ", which was being prepared,"
                               : std::string("on the device")) +
               " while " + resident_name(*segment.resident) + " was loaded or evicted";
      case WaitCause::eviction:
        return "for the eviction of " + resident_name(*segment.resident);
      case WaitCause::load:
        return "for the load of " + resident_name(*segment.resident);
      case WaitCause::reading:
        return "for a fresh reading of the device's memory";
      case WaitCause::pause:
        return "until " + resident_name(*segment.resident) + " could be loaded again after a failed load";
      case WaitCause::memory:
        return "for memory that the daemon can't free";
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
      return "what it needs was loaded already";
    case OvertakeReason::cheaper_change:
      return "its change of residents served more waiting work for the time that it took";
    case OvertakeReason::loaded_ahead:
      return "its resident was loaded ahead and is not evicted before it has run";
    case OvertakeReason::due_at_last:
      return "it had been overtaken itself for as long as its bound allows";
    case OvertakeReason::other_device:
      return "it needs several devices at once, and its turn had come on another of them";
  }
  return "";
}

std::string arrival_sentence(const Explanation& explanation, const NameFormatter& names) {
  std::string text = capitalized(ticket_label(explanation.ticket));
  if (explanation.request) text += " for " + names.request_name(*explanation.request);
  text += " arrived";
  if (explanation.arrived) text += " at " + names.format_time(*explanation.arrived);
  if (explanation.request && explanation.request->priority)
    text += " with priority " + std::string(to_string(*explanation.request->priority));
  text += ".";
  if (explanation.truncated)
    text += " The beginning is missing, because the journal does not reach back to it (limits.events).";
  return text;
}

// The causes of the wait in order; of a long list the last kMaxListed.
std::string waiting_sentence(const Explanation& explanation, const NameFormatter& names) {
  constexpr std::size_t kMaxListed = 12;
  std::string text = "It waited " + format_duration(explanation.waited);
  const std::size_t from =
      explanation.segments.size() > kMaxListed ? explanation.segments.size() - kMaxListed : 0;
  const std::size_t omitted = from + explanation.segments_dropped;
  const char* separator = ": ";
  if (omitted > 0) {
    Duration omitted_time{};
    for (std::size_t i = 0; i < from; ++i)
      omitted_time += explanation.segments[i].until - explanation.segments[i].from;
    text +=
        separator + (format_duration(omitted_time) + " for " + std::to_string(omitted) + " earlier causes");
    separator = ", then ";
  }
  for (std::size_t i = from; i < explanation.segments.size(); ++i) {
    const WaitSegment& segment = explanation.segments[i];
    text += separator + (format_duration(segment.until - segment.from) + " " + names.format_cause(segment));
    separator = ", then ";
  }
  return text + ".";
}

std::string overtaken_tickets(const OvertakeRecord& overtake, const NameFormatter& names) {
  const std::string first = names.ticket_name(overtake.other);
  if (overtake.passed == 1) return first;
  return std::to_string(overtake.passed) + " tickets, the first of them " + first + ",";
}

std::string plan_sentence(const Plan& plan, const NameFormatter& names) {
  const auto format_costs = [](const EvictionCandidate& candidate) {
    char value[32];
    std::snprintf(value, sizeof value, "%.2f", candidate.retention_value);
    return to_string(candidate.yield_bytes) + ", " + format_duration(candidate.reload_time) +
           " to load again, " + value + " s of reloading expected for each GiB";
  };
  std::string evicted, kept;
  for (const EvictionCandidate& candidate : plan.considered) {
    std::string& list = candidate.chosen ? evicted : kept;
    list += (list.empty() ? "" : "; ") + names.resident_name(candidate.resident) + " (" +
            format_costs(candidate) + ")";
  }
  std::string text = "To free " + to_string(plan.needed) +
                     (plan.reason == PlanReason::ahead ? " ahead of its turn" : "") + ", the plan evicts ";
  if (plan.considered.empty()) return text + "other residents.";
  text += evicted.empty() ? "nothing" : evicted;
  return text + (kept.empty() ? "; there is no other candidate." : "; it keeps " + kept + ".");
}

std::string eviction_sentence(const ResidencyChange& eviction, const NameFormatter& names) {
  const std::string name = capitalized(names.resident_name(eviction.resident));
  if (!eviction.until) return name + " is still being evicted.";
  if (eviction.failed) return capitalized(eviction.failed->detail) + ".";  // it begins with the name
  return name + " was evicted in " + format_duration(*eviction.until - eviction.from) + " (" +
         std::string(eviction.rung ? to_string(*eviction.rung) : "") + "), which freed " +
         to_string(eviction.freed) + ".";
}

std::string load_sentence(const ResidencyChange& load, const NameFormatter& names) {
  const std::string name = capitalized(names.resident_name(load.resident));
  if (!load.until) return name + " is still loading.";
  const std::string took = format_duration(*load.until - load.from);
  if (load.failed) return name + " failed to load after " + took + ": " + load.failed->detail + ".";
  return name + " was loaded in " + took + (load.from_parked ? ", from host memory." : ".");
}

std::string ending_sentence(const Explanation& explanation, const NameFormatter& names) {
  const std::string at = explanation.granted ? " at " + names.format_time(*explanation.granted) : "";
  switch (explanation.state) {
    case TicketState::waiting:
      return "It is still waiting.";
    case TicketState::running:
      return "It was granted" + at + " and is running.";
    case TicketState::done:
      return "It was granted" + at +
             (explanation.error ? " and ended early: " + explanation.error->detail + "." : " and has ended.");
    case TicketState::refused:
      if (!explanation.error) return "It was refused.";
      return "It was refused: " + std::string(to_string(explanation.error->code)) + ", " +
             explanation.error->detail + ".";
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
  for (const OvertakeRecord& overtake : explanation.passed_by)
    text.push_back(capitalized(names.ticket_name(overtake.other)) + " overtook it at " +
                   names.format_time(overtake.at) + ": " + overtaking_reason(overtake.reason) + ".");
  for (const OvertakeRecord& overtake : explanation.passed_others)
    text.push_back("It overtook " + overtaken_tickets(overtake, names) + " at " +
                   names.format_time(overtake.at) + ": " + overtaking_reason(overtake.reason) + ".");
  for (const Plan& plan : explanation.plans) text.push_back(plan_sentence(plan, names));
  for (const ResidencyChange& eviction : explanation.evictions)
    text.push_back(eviction_sentence(eviction, names));
  for (const ResidencyChange& load : explanation.loads) text.push_back(load_sentence(load, names));
  for (const Instant at : explanation.requeued)
    text.push_back("Its service ran out of memory at " + names.format_time(at) +
                   ", so it had to wait again.");
  text.push_back(ending_sentence(explanation, names));
  return text;
}

std::vector<std::string> format_sentences(const WhatIf& what_if_result, const FormatContext& context) {
  const NameFormatter names(context);
  const std::string it = "A ticket for " + names.request_name(what_if_result.request);
  if (what_if_result.refused)
    return {it + " would be refused: " + std::string(to_string(what_if_result.refused->code)) + ", " +
            what_if_result.refused->detail + "."};
  if (what_if_result.stage == TicketStage::running) return {it + " would be granted at once."};
  std::vector<std::string> text;
  if (what_if_result.stage == TicketStage::waiting) {
    text.push_back(it + " would wait" +
                   (what_if_result.place > 0
                        ? " at place " + std::to_string(what_if_result.place) + " of the line."
                        : "."));
    if (!what_if_result.turn_holders.empty())
      text.push_back("The turn is held by " + ticket_list(what_if_result.turn_holders, names) + ".");
    if (!what_if_result.tickets_ahead.empty()) {
      const std::size_t more =
          what_if_result.place - 1 - std::min(what_if_result.place - 1, what_if_result.tickets_ahead.size());
      text.push_back("Ahead of it wait: " + ticket_list(what_if_result.tickets_ahead, names) +
                     (more > 0 ? " and " + std::to_string(more) + " more." : "."));
    }
  } else {
    text.push_back(it + " would get its turn at once.");
  }
  for (const Effect& effect : what_if_result.effects)
    if (const auto* planned = std::get_if<Planned>(&effect);
        planned && planned->ticket == what_if_result.ticket)
      text.push_back(plan_sentence(plan_of(*planned), names));
  if (what_if_result.must_load)
    text.push_back(capitalized(names.request_name(what_if_result.request)) + " would have to be loaded.");
  if (what_if_result.estimated_start)
    text.push_back("Its estimated start is in " + format_duration(what_if_result.estimated_wait) + ".");
  return text;
}

}  // namespace mgpu::explain
