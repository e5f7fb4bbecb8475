// Records in the store what the next start of the daemon needs, derived from the journal. Without a store it
// records nothing; the other parts do not distinguish the two cases.
//
// Thread rule: the strand.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/live_config.h"
#include "engine/journal.h"
#include "registry/registry.h"

#include "store/epoch.h"
#include "store/store.h"

namespace mgpu::engine {

class StoreRecorder {
 public:
  // Data that a journal entry does not contain itself.
  struct EntryContext {
    const Registry& registry;
    std::function<std::chrono::system_clock::time_point(Instant)> wall_time{};
    std::function<std::string(TicketId)> holder_description{};
  };

  // `store` may be null. Fixed for the run, like the applications: the settings under which costs and
  // processes are recorded.
  StoreRecorder(store::Store* store, const config::LiveConfig& config, EntryContext entry_context);

  // Returns an epoch that no start of the daemon has used (TicketNumbers). Derived from the clock if there is
  // no store, or if it can't be written.
  store::Epoch begin_epoch();

  // The costs that earlier starts learned under the present settings; all zero if none.
  LearnedCosts previously_learned(ConsumerId consumer, const std::string& ai_model) const;

  void on_entry(const JournalEntry& entry);

  void forget_learned(ConsumerId consumer);

  // The mark that every process started here carries, by which a later start of the daemon recognises it: the
  // path of the store. Empty without a store.
  std::string process_mark() const;
  // Returns after the write.
  void record_started(ConsumerId consumer, int pid, std::optional<std::uint16_t> port, std::string device);
  std::vector<store::ProcessRow> leftover_processes() const;
  void record_adopted(store::ProcessRow row);
  void record_ended(const std::string& consumer);

 private:
  struct Job {
    store::JobRow row{};
    Instant granted{};
  };

  void record(Instant at, const TicketArrived& arrived);
  void record(Instant at, const Grant& grant);
  void record(Instant at, const CostsLearned& learned);
  void record(Instant at, const TicketCancelled& e) { finish_job(at, e.ticket, to_string(e.error.code)); }
  void record(Instant at, const LeaseReleased& e) { finish_job(at, e.ticket, "done"); }
  void record(Instant at, const Refuse& e) { finish_job(at, e.ticket, to_string(e.error.code)); }
  void record(Instant at, const EndLease& e) { finish_job(at, e.ticket, to_string(e.error.code)); }
  void record(Instant, const Load& e) { record_process_state(e.resident); }
  void record(Instant, const LoadEnded& e) { record_process_state(e.resident); }
  void record(Instant, const Evict& e) { record_process_state(e.resident); }
  void record(Instant, const Evicted& e) { record_process_state(e.resident); }
  void record(Instant, const EvictionFailed& e) { record_process_state(e.resident); }
  void record(Instant, const ResidentFound& e) { record_process_state(e.resident); }
  template <class Other>
  void record(Instant, const Other&) {}
  void record_process_state(ResidentId resident);  // for a later start that finds its process
  void finish_job(Instant at, TicketId ticket, std::string_view outcome);

  store::Store* store_;
  EntryContext entry_context_;
  std::vector<std::string> memory_fingerprints_;   // by ConsumerId
  std::vector<std::string> process_fingerprints_;  // by ConsumerId; empty: the daemon runs no process for it
  std::map<std::pair<ConsumerId, std::string>, LearnedCosts> previously_learned_;
  std::map<TicketId, Job> jobs_;  // of queued and running tickets, and bounded with them
};

}  // namespace mgpu::engine
