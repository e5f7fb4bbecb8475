// The wire names of the domain's enumerators: equal to their names in code.
#pragma once

#include <optional>
#include <string_view>

#include "domain/effect.h"

namespace mgpu {

std::string_view to_string(Kind kind);
std::string_view to_string(Rung rung);
std::string_view to_string(Residency state);
std::string_view to_string(Reason reason);

// None for a name that is not a kind.
std::optional<Kind> kind_from_name(std::string_view name);

}  // namespace mgpu
