// What one service has listed so far, compared with what the core knows of its residents. Values only.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "domain/event.h"
#include "sched/world.h"

namespace mgpu::engine {

// One answer of the service.
struct Listing {
  Instant asked_at{};  // when it was asked: what happened later may be missing
  // All AI models that the service can load, canonical; none: it does not tell, or has only one.
  std::optional<std::set<std::string>> offered{};
  std::map<ResidentId, Presence> present{};  // what is not cold
};

class ListingRecord {
 public:
  // What is news to the core, by ascending id. `loads_lazily`: a load only prepares the service, and the
  // first request loads; so only changes of what it lists are news.
  std::vector<ResidentFound> find_news(const World& world, ConsumerId consumer, const Listing& listing,
                                       bool loads_lazily);

 private:
  Presence presence_of(const World& world, ResidentId resident, const Listing& listing) const;

  std::set<std::string> offered_{};  // by any answer so far
  // Resident::transition_at when it was warm and listed so last; zero: it was listed as not warm since.
  std::map<ResidentId, Instant> listed_warm_{};
};

}  // namespace mgpu::engine
