// Which number each configured device and consumer has. The core knows both by number only, so that a number
// must mean the same name for as long as the daemon lives, whatever becomes of the configuration. Pure.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::config {

struct IdSlot {
  std::string name{};
  bool configured = true;  // false: an earlier configuration had it
};

struct IdTable {
  std::vector<IdSlot> devices{};    // by DeviceId
  std::vector<IdSlot> consumers{};  // by ConsumerId
};

// The slots of a new list of names. A name that had a slot keeps it, also if it was away for a while; a name
// that is gone keeps its slot, marked, so that no other name gets its number; new names are appended in their
// order. REQUIRES: no name twice in `names`.
std::vector<IdSlot> assign_ids(std::vector<IdSlot> previous, const std::vector<std::string>& names);

// The number of a configured name.
std::optional<std::size_t> find_id(const std::vector<IdSlot>& slots, std::string_view name);

}  // namespace mgpu::config
