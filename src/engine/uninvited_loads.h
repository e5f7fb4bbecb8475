// The AI models that one external service loaded without a request through the daemon. Values only.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "base/time.h"
#include "registry/registry.h"

namespace mgpu::engine {

class UninvitedLoads {
 public:
  // What is warm at the first poll was loaded before polling began, and does not count: recording begins
  // after it.
  void set_baseline() { has_baseline_ = true; }

  void record(const Registry& registry, ResidentId resident);

  // Drops those that are no longer warm, or that a request through the daemon has used since they were
  // recorded.
  void drop_used(const Registry& registry);
  bool has_unused() const { return !unused_.empty(); }
  std::vector<ResidentId> take_unused();  // and removes them

  std::uint64_t count() const { return count_; }  // total recorded

 private:
  bool has_baseline_ = false;
  std::uint64_t count_ = 0;
  std::map<ResidentId, Instant> unused_{};  // with Resident::last_used at that time
};

}  // namespace mgpu::engine
