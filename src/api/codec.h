// The domain's values as JSON, each type encoded in one place. Bytes are integers named `*_bytes`, durations
// numbers named `*_ms`, times RFC 3339. docs/openapi.yaml is the contract.
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

// null for Instant{} ("never happened") and kNever.
Json time_json(Instant at, const WallClock& wall);

// {"error": {"code", "message"}}
Json error_json(const Error& error);

// The six figures of the status, under their names on the wire.
Json statistics_json(const Statistics& statistics, const WallClock& wall);

Json learned_json(const LearnedCosts& learned);

Json resident_json(const Resident& resident, const WallClock& wall);

Json candidate_json(const EvictionCandidate& candidate, const Registry& registry);

std::string_view stage_name(TicketStage stage);

// The state of the consumer's resident that is nearest to warm; cold without any.
Residency consumer_residency(const Registry& registry, const ConsumerState& consumer);

// "ticket_arrived", "granted", ...: the event's name on the wire.
std::string_view event_type(const std::variant<EventPayload, Effect>& payload);

// The payload, with names in place of ids, and with `at` and `type`.
Json entry_json(const JournalEntry& entry, const Registry& registry, const WallClock& wall,
                const UserLabels& user_labels);

// As it goes over the wire. Text that is not UTF-8 (a log line, a command) is replaced, not refused.
std::string dump(const Json& json);
std::string json_body(const Json& json);  // the same as a body, with a line end

}  // namespace mgpu::api
