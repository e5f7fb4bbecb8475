#include "engine/memory_owners.h"

#include <utility>

namespace mgpu::engine {
namespace {

// Owns the listener's process tree and all processes in its container or unit: a service's workers may not be
// descendants of the listener, which may be a proxy.
gpu::Owner owner_by_listener(ConsumerId consumer, int pid, const Sample& sample,
                             const gpu::CgroupNames& own_cgroup) {
  gpu::Owner owner{.id = consumer, .root_pid = pid};
  const auto facts = sample.processes.find(pid);
  if (facts == sample.processes.end()) return owner;
  const gpu::CgroupNames& names = facts->second.cgroup;
  if (names.container != own_cgroup.container) owner.container = names.container;
  if (names.unit != own_cgroup.unit) owner.unit = names.unit;
  return owner;
}

std::vector<gpu::Owner> find_consumers(const Registry& registry, const Sample& sample,
                                       const OwnerCandidates& candidates, bool on_device) {
  std::vector<gpu::Owner> owners;
  for (std::size_t i = 0; i < candidates.runs.size(); ++i) {
    const ConsumerId consumer{i};
    if (is_on_device(registry[consumer].spec, sample.device) != on_device) continue;
    const runner::RunIdentity& run = candidates.runs[i];
    if (!run.is_empty())
      owners.push_back({.id = consumer,
                        .root_pid = run.pid.value_or(0),
                        .process_group = run.process_group,
                        .run = run.run,
                        .unit = run.unit,
                        .container = run.container_id,
                        .slurm_job = run.slurm_job});
    const auto listener = sample.listener_pids.find(candidates.ports[i].value_or(0));
    if (listener != sample.listener_pids.end())
      owners.push_back(owner_by_listener(consumer, listener->second, sample, candidates.own_cgroup));
  }
  return owners;
}

}  // namespace

std::vector<gpu::Owner> find_misplaced_owners(const Registry& registry, const Sample& sample,
                                              const OwnerCandidates& candidates) {
  return find_consumers(registry, sample, candidates, false);
}

std::vector<gpu::Owner> find_memory_owners(const Registry& registry, const Sample& sample,
                                           const OwnerCandidates& candidates) {
  std::vector<gpu::Owner> owners = find_consumers(registry, sample, candidates, true);
  for (const TicketProcess& process : candidates.ticket_processes) {
    if (!is_on_device(registry, process.request, sample.device)) continue;
    gpu::Owner owner{.id = process.ticket,
                     .ticket = process.ticket,
                     .root_pid = process.pid,
                     .run = process.run,
                     .slurm_job = process.slurm_job};
    if (process.request.consumer) owner.id = *process.request.consumer;
    owners.push_back(std::move(owner));
  }
  return owners;
}

}  // namespace mgpu::engine
