// The AI models that one external service loaded for requests that did not come through the daemon. Values
// only.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/time.h"
#include "registry/registry.h"

namespace mgpu::engine {

class UninvitedLoads {
 public:
  // What is there at the first look was loaded before we looked, and does not count: recording begins after
  // it.
  void set_baseline() { has_baseline_ = true; }

  void record(const Registry& registry, ResidentId resident);

  // Forgets those that are not warm any more, or that a request of ours has used since they were recorded.
  void drop_used(const Registry& registry);
  bool has_unused() const { return !unused_.empty(); }
  std::vector<ResidentId> take_unused();  // and forgets them

  std::uint64_t count() const { return count_; }  // recorded, ever

 private:
  bool has_baseline_ = false;
  std::uint64_t count_ = 0;
  std::map<ResidentId, Instant> unused_{};  // with Resident::last_used as it was then
};

}  // namespace mgpu::engine
