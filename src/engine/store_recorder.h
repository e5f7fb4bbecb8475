// What of this life is kept for the next one: folded from the journal into the store. Without a store it
// keeps nothing, and the other parts need not know whether there is one.
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
  // What an entry does not say itself.
  struct EntryContext {
    const Registry& registry;
    std::function<std::chrono::system_clock::time_point(Instant)> wall_time{};
    std::function<std::string(TicketId)> holder_description{};
  };

  // `store` may be null. Fixed for the run, as the applications are: the settings that costs and processes
  // are recorded with.
  StoreRecorder(store::Store* store, const config::LiveConfig& config, EntryContext entry_context);

  // Never the same one again, in this life or another (TicketNumbers). By the clock where there is no store,
  // or where it can't be written.
  store::Epoch begin_epoch();

  // What earlier lives learned of it, under the settings of today; nothing learned: all zero.
  LearnedCosts previously_learned(ConsumerId consumer, const std::string& ai_model) const;

  void on_entry(const JournalEntry& entry);

  void forget_learned(ConsumerId consumer);

  // What every process that is started here carries, so that a later life knows it: where the store is.
  // Empty: nothing is kept.
  std::string process_mark() const;
  // Returns once it is written.
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
  void record(Instant, const FoundWarm& e) { record_process_state(e.resident); }
  template <class Other>
  void record(Instant, const Other&) {}
  void record_process_state(ResidentId resident);  // for a later life that finds its process
  void finish_job(Instant at, TicketId ticket, std::string_view outcome);

  store::Store* store_;
  EntryContext entry_context_;
  std::vector<std::string> memory_fingerprints_;   // by ConsumerId
  std::vector<std::string> process_fingerprints_;  // by ConsumerId; empty: no process of ours
  std::map<std::pair<ConsumerId, std::string>, LearnedCosts> previously_learned_;
  std::map<TicketId, Job> jobs_;  // in the line and running: as bounded as they are
};

}  // namespace mgpu::engine
