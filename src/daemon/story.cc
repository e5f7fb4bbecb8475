#include "daemon/story.h"

#include <algorithm>

#include <fmt/format.h>

#include "domain/enum_names.h"

namespace mgpu::daemon {
namespace {

struct Teller {
  const Registry& registry;

  std::string name(ResidentId id) const {
    const Resident& resident = registry[id];
    const std::string& consumer = registry[resident.consumer].spec.name;
    return resident.ai_model.empty() ? consumer : consumer + "/" + resident.ai_model;
  }

  std::optional<Line> operator()(const Grant& e) const {
    return Line{fmt::format("ticket {} runs; waited {:.0f} ms, {:.0f} of them for loading", e.ticket.value,
                            to_ms(e.waited), to_ms(e.loading))};
  }
  std::optional<Line> operator()(const Refuse& e) const {
    return Line{
        fmt::format("ticket {} refused: {}: {}", e.ticket.value, to_string(e.error.code), e.error.detail),
        true};
  }
  std::optional<Line> operator()(const EndLease& e) const {
    return Line{
        fmt::format("ticket {} ended early: {}: {}", e.ticket.value, to_string(e.error.code), e.error.detail),
        true};
  }
  std::optional<Line> operator()(const Load& e) const {
    const std::string whom = e.ticket ? fmt::format(" for ticket {}", e.ticket->value) : "";
    return Line{fmt::format("{} {}{}", e.from_parked ? "resuming" : "loading", name(e.resident), whom)};
  }
  std::optional<Line> operator()(const LoadEnded& e) const {
    if (e.result) return Line{name(e.resident) + " is warm"};
    return Line{fmt::format("{} did not load: {}", name(e.resident), e.result.error().detail), true};
  }
  std::optional<Line> operator()(const Evict& e) const {
    return Line{fmt::format("evicting {} ({})", name(e.resident), to_string(e.rung))};
  }
  std::optional<Line> operator()(const Evicted& e) const {
    return Line{fmt::format("{} evicted: {} -> {}", name(e.resident), to_string(e.before_bytes),
                            to_string(e.after_bytes))};
  }
  std::optional<Line> operator()(const EvictionFailed& e) const {
    return Line{fmt::format("{} could not be evicted, it still holds {}: {}", name(e.resident),
                            to_string(e.still_held_bytes), e.error.detail),
                true};
  }
  std::optional<Line> operator()(const FoundWarm& e) const {
    return Line{name(e.resident) + " was found warm"};
  }
  std::optional<Line> operator()(const StrayEnded& e) const {
    if (!e.result)
      return Line{fmt::format("process {} of {} was left by an earlier life and can't be ended: {}", e.pid,
                              e.consumer, e.result.error().detail),
                  true};
    return Line{
        fmt::format("ended process {} of {}, left by an earlier life: {}", e.pid, e.consumer, e.reason)};
  }
  std::optional<Line> operator()(const StrayLeftAlone& e) const {
    return Line{
        fmt::format("left process {} of {} alone: it belongs to another mgpu (process {}), which runs", e.pid,
                    e.consumer, e.owner_pid),
        true};
  }
  std::optional<Line> operator()(const ServiceLost& e) const {
    return Line{fmt::format("{} is gone: {}", registry[e.consumer].spec.name, e.error.detail), true};
  }
  template <class Routine>
  std::optional<Line> operator()(const Routine&) const {
    return std::nullopt;
  }
};

}  // namespace

std::optional<Line> told(const engine::JournalEntry& entry, const Registry& registry) {
  const Teller teller{registry};
  return std::visit([&](const auto& either) { return std::visit(teller, either); }, entry.payload);
}

std::optional<Line> ByTotals::told(const engine::JournalEntry& entry, const Registry& registry) {
  const auto* happening = std::get_if<EventPayload>(&entry.payload);
  const auto* taken = happening ? std::get_if<ReadingTaken>(happening) : nullptr;
  if (!taken || taken->reading.lost || taken->reading.is_per_process) return std::nullopt;
  const auto loads = [&](const Resident& resident) { return resident.state == Residency::loading; };
  if (std::ranges::any_of(registry.residents, loads)) return std::nullopt;
  if (!known_.insert(taken->reading.device).second) return std::nullopt;
  return Line{
      fmt::format("{}: the driver does not tell how much memory each of our processes holds; who holds "
                  "what is reckoned from the totals before and after loads",
                  registry.devices[taken->reading.device.value].name),
      true};
}

}  // namespace mgpu::daemon
