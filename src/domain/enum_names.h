// The wire names of the domain's enumerators: equal to their names in code.
#pragma once

#include <optional>
#include <string_view>

#include "domain/effect.h"

namespace mgpu {

std::string_view to_string(ConsumerKind kind);
std::string_view to_string(Rung rung);
std::string_view to_string(Residency state);
std::string_view to_string(PlanReason reason);
std::string_view to_string(Priority priority);
std::string_view to_string(FootprintDeclaration declared);
std::string_view to_string(LoadSource source);
std::string_view to_string(OvertakeReason reason);

// None for an unknown name.
std::optional<Priority> priority_from_name(std::string_view name);

}  // namespace mgpu
