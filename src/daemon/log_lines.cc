#include "daemon/log_lines.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include "domain/enum_names.h"

namespace mgpu::daemon {
namespace {

struct LogLineFormatter {
  const Registry& registry;

  std::string resident_name(ResidentId id) const {
    const Resident& resident = registry[id];
    const std::string& consumer = registry[resident.consumer].spec.name;
    return resident.ai_model.empty() ? consumer : consumer + "/" + resident.ai_model;
  }

  std::optional<LogLine> operator()(const Grant& e) const {
    return LogLine{fmt::format("ticket {} granted after {:.0f} ms, {:.0f} ms of them for loading",
                               e.ticket.value, to_ms(e.waited), to_ms(e.loading))};
  }
  std::optional<LogLine> operator()(const Refuse& e) const {
    return LogLine{
        fmt::format("ticket {} refused: {}: {}", e.ticket.value, to_string(e.error.code), e.error.detail),
        true};
  }
  std::optional<LogLine> operator()(const EndLease& e) const {
    return LogLine{fmt::format("lease of ticket {} ended early: {}: {}", e.ticket.value,
                               to_string(e.error.code), e.error.detail),
                   true};
  }
  std::optional<LogLine> operator()(const Load& e) const {
    const std::string for_ticket = e.ticket ? fmt::format(" for ticket {}", e.ticket->value) : "";
    return LogLine{fmt::format("loading {}{}{}", resident_name(e.resident),
                               e.from_parked ? " from host memory" : "", for_ticket)};
  }
  std::optional<LogLine> operator()(const LoadEnded& e) const {
    if (e.result) return LogLine{resident_name(e.resident) + " is warm"};
    return LogLine{fmt::format("loading {} failed: {}: {}", resident_name(e.resident),
                               to_string(e.result.error().code), e.result.error().detail),
                   true};
  }
  std::optional<LogLine> operator()(const Evict& e) const {
    return LogLine{fmt::format("evicting {} ({})", resident_name(e.resident), to_string(e.rung))};
  }
  std::optional<LogLine> operator()(const Evicted& e) const {
    return LogLine{fmt::format("evicted {}: device memory {} -> {}", resident_name(e.resident),
                               to_string(e.before_bytes), to_string(e.after_bytes))};
  }
  std::optional<LogLine> operator()(const EvictionFailed& e) const {
    return LogLine{fmt::format("evicting {} failed, {} still held: {}", resident_name(e.resident),
                               to_string(e.still_held_bytes), e.error.detail),
                   true};
  }
  std::optional<LogLine> operator()(const ResidentFound& e) const {
    constexpr std::array<std::string_view, 5> kNews{
        "is not loaded any more: its service dropped it, or somebody else unloaded it",
        "is being loaded, but not by the daemon", "is loaded, but not by the daemon",
        "is parked in host memory, but not by the daemon", "is gone: its service does not have it any more"};
    return LogLine{
        fmt::format("{} {}", resident_name(e.resident), kNews[static_cast<std::size_t>(e.presence)])};
  }
  std::optional<LogLine> operator()(const StrayEnded& e) const {
    if (!e.result)
      return LogLine{fmt::format("process {} of {}, left by an earlier run of the daemon, can't be ended: {}",
                                 e.pid, e.consumer, e.result.error().detail),
                     true};
    return LogLine{fmt::format("ended process {} of {}, left by an earlier run of the daemon: {}", e.pid,
                               e.consumer, e.reason)};
  }
  std::optional<LogLine> operator()(const StrayLeftAlone& e) const {
    return LogLine{
        fmt::format("did not end process {} of {}: it belongs to another running mgpu (process {})", e.pid,
                    e.consumer, e.owner_pid),
        true};
  }
  std::optional<LogLine> operator()(const ServiceLost& e) const {
    return LogLine{fmt::format("service of {} lost: {}", registry[e.consumer].spec.name, e.error.detail),
                   true};
  }
  template <class Unlogged>
  std::optional<LogLine> operator()(const Unlogged&) const {
    return std::nullopt;
  }
};

}  // namespace

std::optional<LogLine> format_log_line(const JournalEntry& entry, const Registry& registry) {
  const LogLineFormatter formatter{registry};
  return std::visit([&](const auto& payload) { return std::visit(formatter, payload); }, entry.payload);
}

std::optional<LogLine> AttributionWarning::warning_if_new(const JournalEntry& entry,
                                                          const Registry& registry) {
  const auto* event = std::get_if<EventPayload>(&entry.payload);
  const auto* reading_taken = event ? std::get_if<ReadingTaken>(event) : nullptr;
  if (!reading_taken || reading_taken->reading.lost || reading_taken->reading.is_per_process)
    return std::nullopt;
  const auto is_loading = [&](const Resident& resident) { return resident.state == Residency::loading; };
  if (std::ranges::any_of(registry.residents, is_loading)) return std::nullopt;
  if (!warned_devices_.insert(reading_taken->reading.device).second) return std::nullopt;
  return LogLine{
      fmt::format(
          "{}: the driver does not report memory per process; the memory of each consumer is computed "
          "from the device's total before and after loads",
          registry.devices[reading_taken->reading.device.value].name),
      true};
}

JournalLogger::JournalLogger(engine::Engine& engine)
    : engine_(engine),
      subscription_(engine.journal().subscribe([this](const JournalEntryPtr& entry) { log(*entry); })) {
  engine.on_note([this](ConsumerId consumer, const std::string& text) {
    spdlog::warn("{}: {}", engine_.world().registry[consumer].spec.name, text);
  });
}

JournalLogger::~JournalLogger() {
  engine_.on_note({});
  engine_.journal().unsubscribe(subscription_);
}

void JournalLogger::log(const JournalEntry& entry) {
  const Registry& registry = engine_.world().registry;
  for (const auto& line :
       {format_log_line(entry, registry), attribution_warning_.warning_if_new(entry, registry)})
    if (line) spdlog::log(line->warning ? spdlog::level::warn : spdlog::level::info, line->text);
}

}  // namespace mgpu::daemon
