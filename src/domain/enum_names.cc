#include "domain/enum_names.h"

#include <array>

namespace mgpu {
namespace {

constexpr std::array<std::string_view, 9> kConsumerKinds{"llm",   "stt",   "tts",   "embedding", "rerank",
                                                         "image", "video", "batch", "other"};
constexpr std::array<std::string_view, 4> kRungs{"park", "service", "stop", "kill"};
constexpr std::array<std::string_view, 6> kResidencies{"cold",   "loading",   "warm",
                                                       "parked", "unloading", "failed"};
constexpr std::array<std::string_view, 7> kPlanReasons{
    "ticket", "idle", "pressure", "operator_request", "ahead", "host_memory", "yielded"};
constexpr std::array<std::string_view, 4> kPriorities{"realtime", "interactive", "normal", "batch"};
constexpr std::array<std::string_view, 3> kFootprintDeclarations{"guess", "at_least", "at_most"};
constexpr std::array<std::string_view, 3> kLoadSources{"cold", "cached", "parked"};
constexpr std::array<std::string_view, 6> kOvertakeReasons{"same_turn",    "warm",        "cheaper_change",
                                                           "loaded_ahead", "due_at_last", "other_device"};

template <class Enum, std::size_t N>
std::optional<Enum> from_name(const std::array<std::string_view, N>& names, std::string_view name) {
  for (std::size_t i = 0; i < N; ++i)
    if (names[i] == name) return static_cast<Enum>(i);
  return std::nullopt;
}

}  // namespace

std::string_view to_string(ConsumerKind kind) { return kConsumerKinds[static_cast<std::size_t>(kind)]; }
std::string_view to_string(Rung rung) { return kRungs[static_cast<std::size_t>(rung)]; }
std::string_view to_string(Residency state) { return kResidencies[static_cast<std::size_t>(state)]; }
std::string_view to_string(PlanReason reason) { return kPlanReasons[static_cast<std::size_t>(reason)]; }

std::string_view to_string(Priority priority) { return kPriorities[static_cast<std::size_t>(priority)]; }
std::string_view to_string(FootprintDeclaration declared) {
  return kFootprintDeclarations[static_cast<std::size_t>(declared)];
}
std::string_view to_string(LoadSource source) { return kLoadSources[static_cast<std::size_t>(source)]; }
std::string_view to_string(OvertakeReason reason) {
  return kOvertakeReasons[static_cast<std::size_t>(reason)];
}

std::optional<Priority> priority_from_name(std::string_view name) {
  return from_name<Priority>(kPriorities, name);
}

}  // namespace mgpu
