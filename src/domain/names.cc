#include "domain/names.h"

#include <array>

namespace mgpu {
namespace {

constexpr std::array<std::string_view, 9> kKinds{"llm",   "stt",   "tts",   "embedding", "rerank",
                                                 "image", "video", "batch", "other"};
constexpr std::array<std::string_view, 4> kRungs{"park", "service", "stop", "kill"};
constexpr std::array<std::string_view, 6> kResidencies{"cold",   "loading",   "warm",
                                                       "parked", "unloading", "failed"};
constexpr std::array<std::string_view, 4> kReasons{"ticket", "idle", "pressure", "operator_request"};

}  // namespace

std::string_view to_string(Kind kind) { return kKinds[static_cast<std::size_t>(kind)]; }
std::string_view to_string(Rung rung) { return kRungs[static_cast<std::size_t>(rung)]; }
std::string_view to_string(Residency state) { return kResidencies[static_cast<std::size_t>(state)]; }
std::string_view to_string(Reason reason) { return kReasons[static_cast<std::size_t>(reason)]; }

std::optional<Kind> kind_from_name(std::string_view name) {
  for (std::size_t i = 0; i < kKinds.size(); ++i)
    if (kKinds[i] == name) return static_cast<Kind>(i);
  return std::nullopt;
}

}  // namespace mgpu
