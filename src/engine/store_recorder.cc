#include "engine/store_recorder.h"

#include <algorithm>
#include <variant>

#include "engine/fingerprint.h"
#include "gpu/process_table.h"
#include "runner/process_recovery.h"

namespace mgpu::engine {

StoreRecorder::StoreRecorder(store::Store* store, const config::LiveConfig& config,
                             EntryContext entry_context)
    : store_(store), entry_context_(std::move(entry_context)) {
  for (std::size_t i = 0; i < config.consumer_count(); ++i) {
    const config::ConsumerSnapshot consumer = config.consumer(ConsumerId{i});
    memory_fingerprints_.push_back(memory_fingerprint(*consumer));
    process_fingerprints_.push_back(consumer->process ? process_fingerprint(*consumer) : "");
  }
  if (store_ == nullptr) return;
  for (const store::LearnedRow& row : store_->read_learned()) {
    const auto id = config::find_id(config.ids().consumers, row.consumer);
    if (id && memory_fingerprints_[*id] == row.settings)
      previously_learned_[{ConsumerId{*id}, row.ai_model}] = row.learned;
  }
}

store::Epoch StoreRecorder::begin_epoch() {
  if (store_ != nullptr)
    if (const auto counted = store_->begin_epoch()) return {.number = *counted};
  return store::epoch_by_clock(std::chrono::system_clock::now());
}

LearnedCosts StoreRecorder::previously_learned(ConsumerId consumer, const std::string& ai_model) const {
  const auto found = previously_learned_.find({consumer, ai_model});
  return found == previously_learned_.end() ? LearnedCosts{} : found->second;
}

void StoreRecorder::on_entry(const JournalEntry& entry) {
  if (store_ == nullptr) return;
  std::visit(
      [&](const auto& either) { std::visit([&](const auto& what) { record(entry.at, what); }, either); },
      entry.payload);
}

void StoreRecorder::record(Instant at, const TicketArrived& arrived) {
  if (arrived.request.is_warm_up) return;
  const auto since_1970 = entry_context_.wall_time(at).time_since_epoch();
  store::JobRow row{.ticket = arrived.ticket.value,
                    .who = entry_context_.holder_description(arrived.ticket),
                    .arrived_us = std::chrono::duration_cast<Duration>(since_1970).count()};
  if (arrived.request.consumer) row.consumer = entry_context_.registry[*arrived.request.consumer].spec.name;
  if (arrived.request.resident) row.ai_model = entry_context_.registry[*arrived.request.resident].ai_model;
  jobs_[arrived.ticket] = {.row = std::move(row)};
}

void StoreRecorder::record(Instant at, const Grant& grant) {
  const auto found = jobs_.find(grant.ticket);
  if (found == jobs_.end()) return;
  found->second.row.waited = grant.waited;
  found->second.row.loading = grant.loading;
  found->second.granted = at;
}

void StoreRecorder::finish_job(Instant at, TicketId ticket, std::string_view outcome) {
  const auto found = jobs_.find(ticket);
  if (found == jobs_.end()) return;
  Job job = std::move(found->second);
  jobs_.erase(found);
  if (job.granted > Instant{}) job.row.run_time = at - job.granted;
  job.row.outcome = outcome;
  store_->add_job(std::move(job.row));
}

void StoreRecorder::record(Instant, const CostsLearned& learned) {
  const Resident& resident = entry_context_.registry[learned.resident];
  store_->save_learned({.consumer = entry_context_.registry[resident.consumer].spec.name,
                        .ai_model = resident.ai_model,
                        .settings = memory_fingerprints_[resident.consumer.value],
                        .learned = learned.costs});
}

void StoreRecorder::record_process_state(ResidentId id) {
  const ConsumerId consumer = entry_context_.registry[id].consumer;
  if (process_fingerprints_[consumer.value].empty()) return;
  bool settled = true;
  std::vector<std::string> warm;
  for (const ResidentId each : entry_context_.registry[consumer].residents) {
    const Resident& resident = entry_context_.registry[each];
    const bool is_warm = resident.state == Residency::warm;
    if (is_warm) warm.push_back(resident.ai_model);
    settled =
        settled && (is_warm || resident.state == Residency::cold || resident.state == Residency::failed);
  }
  store_->update_process(entry_context_.registry[consumer].spec.name, settled, std::move(warm));
}

std::string StoreRecorder::process_mark() const { return store_ == nullptr ? "" : store_->path(); }

void StoreRecorder::record_started(ConsumerId consumer, int pid, std::optional<std::uint16_t> port,
                                   std::string device) {
  const auto facts = gpu::read_process(pid);
  if (store_ == nullptr || !facts) return;
  const runner::DaemonInstance owner = runner::current_daemon_instance();
  store_->save_process({.consumer = entry_context_.registry[consumer].spec.name,
                        .pid = pid,
                        .start_time = facts->start_time,
                        .boot = runner::boot_id(),
                        .port = port.value_or(0),
                        .settings = process_fingerprints_[consumer.value],
                        .device = std::move(device),
                        .owner = owner.pid,
                        .owner_start_time = owner.start_time});
}

void StoreRecorder::record_adopted(store::ProcessRow row) {
  const runner::DaemonInstance owner = runner::current_daemon_instance();
  row.owner = owner.pid;
  row.owner_start_time = owner.start_time;
  if (store_ != nullptr) store_->save_process(row);
}

std::vector<store::ProcessRow> StoreRecorder::leftover_processes() const {
  return store_ == nullptr ? std::vector<store::ProcessRow>{} : store_->read_processes();
}

void StoreRecorder::record_ended(const std::string& consumer) {
  if (store_ != nullptr) store_->remove_process(consumer);
}

void StoreRecorder::forget_learned(ConsumerId consumer) {
  std::erase_if(previously_learned_, [&](const auto& row) { return row.first.first == consumer; });
  if (store_ != nullptr) store_->forget_learned(entry_context_.registry[consumer].spec.name);
}

}  // namespace mgpu::engine
