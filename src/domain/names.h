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
std::string_view to_string(Priority priority);
std::string_view to_string(Declared declared);
std::string_view to_string(Source source);
std::string_view to_string(Overtaking why);

// None for a name that is none of them.
std::optional<Kind> kind_from_name(std::string_view name);
std::optional<Priority> priority_from_name(std::string_view name);
std::optional<Declared> declared_from_name(std::string_view name);

}  // namespace mgpu
