#include "engine/listing_record.h"

#include "sched/found_state.h"

namespace mgpu::engine {
namespace {

constexpr std::size_t kMaxRememberedNames = 10'000;

// Of a service whose first request loads: it lists nothing after a load, and after an unload perhaps what it
// still keeps of its pool. `listed_since`: of which time in device memory it was listed last, if at all.
bool is_expected_of_lazy(const Resident& resident, Instant listed_since, bool is_listed_warm) {
  if (resident.state == Residency::warm) return !is_listed_warm && listed_since != resident.transition_at;
  return is_listed_warm && listed_since != Instant{};
}

}  // namespace

std::vector<ResidentFound> ListingRecord::find_news(const World& world, ConsumerId consumer,
                                                    const Listing& listing, bool loads_lazily) {
  std::vector<ResidentFound> news;
  for (const ResidentId id : world.registry[consumer].residents) {
    const Resident& resident = world.registry[id];
    const ResidentFound found{.resident = id, .presence = presence_of(world, id, listing)};
    const bool is_warm = resident.state == Residency::warm, is_listed_warm = found.presence == Presence::warm;
    // A lease that has ended since the service was asked may have loaded it meanwhile.
    const bool is_outdated = is_warm && !is_listed_warm && resident.last_used >= listing.asked_at;
    const bool is_expected = loads_lazily && is_expected_of_lazy(resident, listed_warm_[id], is_listed_warm);
    if (!is_outdated && !is_expected && is_news(world, found)) news.push_back(found);
    if (!is_listed_warm) listed_warm_[id] = {};
    if (is_listed_warm && is_warm) listed_warm_[id] = resident.transition_at;
  }
  if (listing.offered && offered_.size() > kMaxRememberedNames) offered_.clear();
  if (listing.offered) offered_.insert(listing.offered->begin(), listing.offered->end());
  return news;
}

Presence ListingRecord::presence_of(const World& world, ResidentId resident, const Listing& listing) const {
  if (const auto present = listing.present.find(resident); present != listing.present.end())
    return present->second;
  if (!listing.offered) return Presence::cold;
  const std::string& name = world.registry[resident].ai_model;
  if (listing.offered->contains(name)) return Presence::cold;
  // A name that was never listed may be another spelling of one that is.
  return world.registry[resident].is_gone || offered_.contains(name) ? Presence::gone : Presence::cold;
}

}  // namespace mgpu::engine
