#include "config/id_table.h"

#include <algorithm>
#include <utility>

namespace mgpu::config {

std::vector<IdSlot> assign_ids(std::vector<IdSlot> previous, const std::vector<std::string>& names) {
  std::vector<IdSlot> slots = std::move(previous);
  for (IdSlot& slot : slots) slot.configured = false;
  for (const std::string& name : names) {
    const auto known = std::ranges::find(slots, name, &IdSlot::name);
    if (known != slots.end())
      known->configured = true;
    else
      slots.push_back({.name = name});
  }
  return slots;
}

std::optional<std::size_t> find_id(const std::vector<IdSlot>& slots, std::string_view name) {
  const auto found =
      std::ranges::find_if(slots, [&](const IdSlot& slot) { return slot.configured && slot.name == name; });
  if (found == slots.end()) return std::nullopt;
  return static_cast<std::size_t>(found - slots.begin());
}

}  // namespace mgpu::config
