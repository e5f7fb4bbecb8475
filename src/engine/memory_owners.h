// The processes that may own a device's memory, for the attribution: those of consumers, by their runs and by
// the listeners of external services, and those that tickets were asked for by. Values only.
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

// The process that a ticket is held by; its descendants work for the ticket, too.
struct TicketProcess {
  TicketId ticket{};
  TicketRequest request{};
  int pid = 0;
  std::string slurm_job{};  // empty: none of its own
};

struct OwnerCandidates {
  std::vector<runner::RunIdentity> runs{};            // by ConsumerId
  std::vector<std::optional<std::uint16_t>> ports{};  // by ConsumerId: where its external service listens
  std::vector<TicketProcess> ticket_processes{};
  // Of the daemon: a container or unit that it shares with a service does not tell that service's processes.
  gpu::CgroupNames own_cgroup{};
};

// Those that may be on the sample's device.
std::vector<gpu::Owner> find_memory_owners(const Registry& registry, const Sample& sample,
                                           const OwnerCandidates& candidates);

}  // namespace mgpu::engine
