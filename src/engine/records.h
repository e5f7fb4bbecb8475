// What of this life is kept for the next one: folded from the journal into the store. Without a store it
// keeps nothing, and nobody else needs to ask whether there is one.
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

#include "config/config.h"
#include "engine/journal.h"
#include "registry/registry.h"

#include "store/store.h"

namespace mgpu::engine {

class Records {
 public:
  // What an entry does not say itself.
  struct Sight {
    const Registry& registry;
    std::function<std::chrono::system_clock::time_point(Instant)> wall{};
    std::function<std::string(TicketId)> who{};
  };

  // `store` may be null. `consumers`: by ConsumerId.
  Records(store::Store* store, const std::vector<config::ConsumerConfig>& consumers, Sight sight);

  // What earlier lives learned of it, under the settings of today; nothing learned: all zero.
  LearnedCosts recalled(ConsumerId consumer, const std::string& ai_model) const;

  void hear(const JournalEntry& entry);

  void forget(ConsumerId consumer);

  // What every process that is started here carries, so that a later life knows it: where the store is.
  // Empty: nothing is kept.
  std::string mark() const;
  // Returns once it is written.
  void started(ConsumerId consumer, int pid, std::optional<std::uint16_t> port, std::string device);
  std::vector<store::ProcessRow> left_running() const;
  void adopted(store::ProcessRow row);
  void ended(const std::string& consumer);

 private:
  struct Job {
    store::JobRow row{};
    Instant granted{};
  };

  void hear(Instant at, const TicketArrived& arrived);
  void hear(Instant at, const Grant& grant);
  void hear(Instant at, const CostsLearned& learned);
  void hear(Instant at, const TicketCancelled& e) { over(at, e.ticket, to_string(e.error.code)); }
  void hear(Instant at, const LeaseReleased& e) { over(at, e.ticket, "done"); }
  void hear(Instant at, const Refuse& e) { over(at, e.ticket, to_string(e.error.code)); }
  void hear(Instant at, const EndLease& e) { over(at, e.ticket, to_string(e.error.code)); }
  void hear(Instant, const Load& e) { note_state(e.resident); }
  void hear(Instant, const LoadEnded& e) { note_state(e.resident); }
  void hear(Instant, const Evict& e) { note_state(e.resident); }
  void hear(Instant, const Evicted& e) { note_state(e.resident); }
  void hear(Instant, const EvictionFailed& e) { note_state(e.resident); }
  void hear(Instant, const FoundWarm& e) { note_state(e.resident); }
  template <class Routine>
  void hear(Instant, const Routine&) {}
  void note_state(ResidentId resident);  // for whoever finds its process
  void over(Instant at, TicketId ticket, std::string_view outcome);

  store::Store* store_;
  Sight sight_;
  std::vector<std::string> settings_;          // by ConsumerId
  std::vector<std::string> process_settings_;  // by ConsumerId; empty: no process of ours
  std::map<std::pair<ConsumerId, std::string>, LearnedCosts> recalled_;
  std::map<TicketId, Job> jobs_;  // in the line and running: as bounded as they are
};

}  // namespace mgpu::engine
