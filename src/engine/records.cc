#include "engine/records.h"

#include <algorithm>
#include <variant>

#include "engine/fingerprint.h"
#include "gpu/process_table.h"
#include "runner/process_recovery.h"

namespace mgpu::engine {

Records::Records(store::Store* store, const std::vector<config::ConsumerConfig>& consumers, Sight sight)
    : store_(store), sight_(std::move(sight)) {
  for (const config::ConsumerConfig& consumer : consumers) {
    settings_.push_back(memory_fingerprint(consumer));
    process_settings_.push_back(consumer.process ? process_fingerprint(consumer) : "");
  }
  if (store_ == nullptr) return;
  for (const store::LearnedRow& row : store_->read_learned()) {
    const auto known = std::ranges::find(consumers, row.consumer, &config::ConsumerConfig::name);
    if (known == consumers.end()) continue;
    const auto index = static_cast<std::size_t>(known - consumers.begin());
    if (settings_[index] == row.settings) recalled_[{ConsumerId{index}, row.ai_model}] = row.learned;
  }
}

LearnedCosts Records::recalled(ConsumerId consumer, const std::string& ai_model) const {
  const auto found = recalled_.find({consumer, ai_model});
  return found == recalled_.end() ? LearnedCosts{} : found->second;
}

void Records::hear(const JournalEntry& entry) {
  if (store_ == nullptr) return;
  std::visit([&](const auto& either) { std::visit([&](const auto& what) { hear(entry.at, what); }, either); },
             entry.payload);
}

void Records::hear(Instant at, const TicketArrived& arrived) {
  if (arrived.request.is_warm_up) return;
  const auto since_1970 = sight_.wall(at).time_since_epoch();
  store::JobRow row{.ticket = arrived.ticket.value,
                    .who = sight_.who(arrived.ticket),
                    .arrived_us = std::chrono::duration_cast<Duration>(since_1970).count()};
  if (arrived.request.consumer) row.consumer = sight_.registry[*arrived.request.consumer].spec.name;
  if (arrived.request.resident) row.ai_model = sight_.registry[*arrived.request.resident].ai_model;
  jobs_[arrived.ticket] = {.row = std::move(row)};
}

void Records::hear(Instant at, const Grant& grant) {
  const auto found = jobs_.find(grant.ticket);
  if (found == jobs_.end()) return;
  found->second.row.waited = grant.waited;
  found->second.row.loading = grant.loading;
  found->second.granted = at;
}

void Records::over(Instant at, TicketId ticket, std::string_view outcome) {
  const auto found = jobs_.find(ticket);
  if (found == jobs_.end()) return;
  Job job = std::move(found->second);
  jobs_.erase(found);
  if (job.granted > Instant{}) job.row.run_time = at - job.granted;
  job.row.outcome = outcome;
  store_->add_job(std::move(job.row));
}

void Records::hear(Instant, const CostsLearned& learned) {
  const Resident& resident = sight_.registry[learned.resident];
  store_->save_learned({.consumer = sight_.registry[resident.consumer].spec.name,
                        .ai_model = resident.ai_model,
                        .settings = settings_[resident.consumer.value],
                        .learned = learned.costs});
}

void Records::note_state(ResidentId id) {
  const ConsumerId consumer = sight_.registry[id].consumer;
  if (process_settings_[consumer.value].empty()) return;
  bool settled = true;
  std::vector<std::string> warm;
  for (const ResidentId each : sight_.registry[consumer].residents) {
    const Resident& resident = sight_.registry[each];
    const bool is_warm = resident.state == Residency::warm;
    if (is_warm) warm.push_back(resident.ai_model);
    settled =
        settled && (is_warm || resident.state == Residency::cold || resident.state == Residency::failed);
  }
  store_->update_process(sight_.registry[consumer].spec.name, settled, std::move(warm));
}

std::string Records::mark() const { return store_ == nullptr ? "" : store_->path(); }

void Records::started(ConsumerId consumer, int pid, std::optional<std::uint16_t> port, std::string device) {
  const auto facts = gpu::read_process(pid);
  if (store_ == nullptr || !facts) return;
  const runner::DaemonInstance owner = runner::current_daemon_instance();
  store_->save_process({.consumer = sight_.registry[consumer].spec.name,
                        .pid = pid,
                        .start_time = facts->start_time,
                        .boot = runner::boot_id(),
                        .port = port.value_or(0),
                        .settings = process_settings_[consumer.value],
                        .device = std::move(device),
                        .owner = owner.pid,
                        .owner_start_time = owner.start_time});
}

void Records::adopted(store::ProcessRow row) {
  const runner::DaemonInstance owner = runner::current_daemon_instance();
  row.owner = owner.pid;
  row.owner_start_time = owner.start_time;
  if (store_ != nullptr) store_->save_process(row);
}

std::vector<store::ProcessRow> Records::left_running() const {
  return store_ == nullptr ? std::vector<store::ProcessRow>{} : store_->read_processes();
}

void Records::ended(const std::string& consumer) {
  if (store_ != nullptr) store_->remove_process(consumer);
}

void Records::forget(ConsumerId consumer) {
  std::erase_if(recalled_, [&](const auto& row) { return row.first.first == consumer; });
  if (store_ != nullptr) store_->forget_learned(sight_.registry[consumer].spec.name);
}

}  // namespace mgpu::engine
