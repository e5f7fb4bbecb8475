// How the domain's values look as JSON, each type once. Bytes are integers named `*_bytes`, durations numbers
// named `*_ms`, times RFC 3339. docs/openapi.yaml is the contract.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "engine/journal.h"
#include "registry/registry.h"
#include "sched/statistics.h"
#include "sched/world.h"

namespace mgpu::api {

using Json = nlohmann::json;
using WallClock = std::function<std::chrono::system_clock::time_point(Instant)>;
using UserLabels = std::function<std::string(std::uint32_t)>;  // a user's number, for people

// null for Instant{0} and kNever: both mean "not at all".
Json time_json(Instant at, const WallClock& wall);

// {"error": {"code", "message"}}
Json error_json(const Error& error);

// The charter's six.
Json statistics_json(const Statistics& statistics, const WallClock& wall);

Json learned_json(const LearnedCosts& learned);

Json resident_json(const Resident& resident, const WallClock& wall);

Json candidate_json(const EvictionCandidate& candidate, const Registry& registry);

std::string_view stage_name(TicketStage stage);

// The liveliest state among a consumer's residents; cold without any.
Residency consumer_residency(const Registry& registry, const ConsumerState& consumer);

// "ticket_arrived", "granted", ...: the event's name on the wire.
std::string_view event_type(const std::variant<EventPayload, Effect>& what);

// What happened, with ids replaced by the names people know, and `at`.
Json entry_json(const engine::JournalEntry& entry, const Registry& registry, const WallClock& wall,
                const UserLabels& user_labels);

// As it goes over the wire; text that is not UTF-8 (a log line, a command) is mended instead of refused.
std::string dump(const Json& json);

}  // namespace mgpu::api
