// The possible owners of a device's memory, for attribution: consumers, by their runs or by the listeners of
// external services, and the processes that hold tickets. Values only.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "domain/ticket.h"
#include "engine/device_sampler.h"
#include "gpu/attribution.h"
#include "registry/registry.h"
#include "runner/runner.h"

namespace mgpu::engine {

// The process that holds a ticket; memory of its descendants belongs to the ticket, too.
struct TicketProcess {
  TicketId ticket{};
  TicketRequest request{};
  int pid = 0;
  std::string run{};        // of what `mgpu run` starts (gpu/run_mark.h)
  std::string slurm_job{};  // empty: none, or the daemon's own
};

struct OwnerCandidates {
  std::vector<runner::RunIdentity> runs{};            // by ConsumerId
  std::vector<std::optional<std::uint16_t>> ports{};  // by ConsumerId: the port of its external service
  std::vector<TicketProcess> ticket_processes{};
  // The daemon's own. A container or unit that the daemon shares with a service does not identify that
  // service's processes.
  gpu::CgroupNames own_cgroup{};
};

// The owners that may have memory on the sample's device.
std::vector<gpu::Owner> find_memory_owners(const Registry& registry, const Sample& sample,
                                           const OwnerCandidates& candidates);

// The consumers that have no business on the sample's device, being bound to others.
std::vector<gpu::Owner> find_misplaced_owners(const Registry& registry, const Sample& sample,
                                              const OwnerCandidates& candidates);

}  // namespace mgpu::engine
