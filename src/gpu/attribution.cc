#include "gpu/attribution.h"

#include <algorithm>
#include <map>
#include <string_view>
#include <utility>

namespace mgpu::gpu {
namespace {

const Owner* owner_with_root(std::span<const Owner> owners, int pid) {
  const auto found = std::ranges::find(owners, pid, &Owner::root_pid);
  return found == owners.end() ? nullptr : &*found;
}

// Walks up the process tree to the nearest root. The table may contain a cycle (a pid was reused while it was
// read), so the walk has at most as many steps as the table has rows.
const Owner* owner_by_tree(int pid, std::span<const Owner> owners, const ProcessTable& processes) {
  for (std::size_t steps = 0; pid > 0 && steps <= processes.size(); ++steps) {
    if (const Owner* owner = owner_with_root(owners, pid)) return owner;
    const auto process = processes.find(pid);
    if (process == processes.end()) return nullptr;
    pid = process->second.parent;
  }
  return nullptr;
}

// An orphaned process has a new parent but keeps its process group.
const Owner* owner_by_group(int pid, std::span<const Owner> owners, const ProcessTable& processes) {
  const auto process = processes.find(pid);
  if (process == processes.end()) return nullptr;
  const auto found = std::ranges::find_if(
      owners, [&](const Owner& owner) { return owner.process_group == process->second.group; });
  return found == owners.end() ? nullptr : &*found;
}

// A process that left the tree and the group has kept its cgroup or its environment.
const Owner* owner_by_run(int pid, std::span<const Owner> owners, const ProcessTable& processes) {
  const auto process = processes.find(pid);
  if (process == processes.end() || process->second.run.empty()) return nullptr;
  const auto found = std::ranges::find(owners, process->second.run, &Owner::run);
  return found == owners.end() ? nullptr : &*found;
}

// `id` is the full container id; `prefix` may be its first digits.
bool matches_container_id(std::string_view id, std::string_view prefix) {
  constexpr std::size_t kMinPrefixLength = 12;
  return prefix.size() >= kMinPrefixLength && id.starts_with(prefix);
}

// If a unit of one owner runs a container of another, the container's owner gets the process.
const Owner* owner_by_cgroup(int pid, std::span<const Owner> owners, const ProcessTable& processes) {
  const auto process = processes.find(pid);
  if (process == processes.end()) return nullptr;
  const CgroupNames& names = process->second.cgroup;
  const auto find_owner = [&](auto matches) -> const Owner* {
    const auto found = std::ranges::find_if(owners, matches);
    return found == owners.end() ? nullptr : &*found;
  };
  if (const Owner* owner =
          find_owner([&](const Owner& o) { return matches_container_id(names.container, o.container); }))
    return owner;
  if (const Owner* owner =
          find_owner([&](const Owner& o) { return !o.slurm_job.empty() && o.slurm_job == names.slurm_job; }))
    return owner;
  return find_owner([&](const Owner& o) { return !o.unit.empty() && o.unit == names.unit; });
}

const Owner* owner_of(int pid, std::span<const Owner> owners, const ProcessTable& processes) {
  if (const Owner* owner = owner_by_tree(pid, owners, processes)) return owner;
  if (const Owner* owner = owner_by_group(pid, owners, processes)) return owner;
  if (const Owner* owner = owner_by_run(pid, owners, processes)) return owner;
  return owner_by_cgroup(pid, owners, processes);
}

// The largest first, unknown bytes last, ties by pid, so that the order is deterministic.
bool has_more_bytes(const ProcessUsage& a, const ProcessUsage& b) {
  return std::pair(b.bytes.value_or(Bytes{-1}), a.pid) < std::pair(a.bytes.value_or(Bytes{-1}), b.pid);
}

Bytes not_negative(Bytes bytes) { return std::max(bytes, Bytes{0}); }

}  // namespace

Attribution attribute(const RawReading& reading, std::span<const Owner> owners, const ProcessTable& processes,
                      Bytes expected) {
  Attribution result;
  result.by_process = reading.lists_processes;
  std::map<ConsumerId, Bytes> consumers;
  std::map<TicketId, Bytes> leases;
  Bytes attributed{};

  for (const ProcessUsage& usage : reading.processes) {
    const Owner* owner = owner_of(usage.pid, owners, processes);
    if (!owner) {
      ProcessUsage& foreign_process = result.foreign_processes.emplace_back(usage);
      if (const auto process = processes.find(usage.pid); process != processes.end()) {
        foreign_process.command = process->second.command;
      }
      continue;
    }
    // Unknown bytes of a foreign process end up in the remainder; an owner's unknown bytes make the sums
    // useless.
    if (!usage.bytes) result.by_process = false;
    const Bytes bytes = usage.bytes.value_or(Bytes{0});
    attributed += bytes;
    const auto process = processes.find(usage.pid);
    result.owned_processes.push_back({.pid = usage.pid,
                                      .owner = static_cast<std::size_t>(owner - owners.data()),
                                      .has_owners_run = process != processes.end() && !owner->run.empty() &&
                                                        process->second.run == owner->run});
    if (const auto* consumer = std::get_if<ConsumerId>(&owner->id)) {
      consumers[*consumer] += bytes;
      result.processes.push_back({*consumer, usage.pid});
    }
    if (const auto* lease = std::get_if<TicketId>(&owner->id)) leases[*lease] += bytes;
  }
  std::ranges::sort(result.foreign_processes, has_more_bytes);
  for (const int pid : reading.unreadable_pids)
    if (owner_of(pid, owners, processes)) result.by_process = false;

  if (!result.by_process) {
    result.foreign = not_negative(reading.used - expected);
    return result;
  }
  result.foreign = not_negative(reading.used - attributed);
  for (const auto& [consumer, bytes] : consumers) result.consumers.push_back({consumer, bytes});
  for (const auto& [lease, bytes] : leases) result.leases.push_back({lease, bytes});
  return result;
}

}  // namespace mgpu::gpu
