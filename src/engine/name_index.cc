#include "engine/name_index.h"

#include <algorithm>
#include <utility>

#include "base/sanitize.h"
#include "engine/engine.h"
#include "service/service.h"

namespace mgpu::engine {
namespace {

constexpr std::size_t kMaxNamesInError = 20;
constexpr std::string_view kLatestTag = ":latest";

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

NameIndex::NameIndex(const config::LiveConfig& config) : config_(config) {}

std::vector<ConsumerId> NameIndex::configured() const {
  std::vector<ConsumerId> found;
  const auto& slots = config_.ids().consumers;
  for (std::size_t i = 0; i < slots.size(); ++i)
    if (slots[i].configured) found.push_back(ConsumerId{i});
  return found;
}

std::string NameIndex::key(ConsumerId consumer, std::string_view ai_model) const {
  return service::name_key(config_.consumer(consumer)->service.type, ai_model);
}

void NameIndex::add(Listing& listing, ConsumerId consumer, const std::string& name) const {
  if (listing.names.size() >= kMaxListedAiModels || name.size() > kMaxAiModelLength) return;
  std::string spelling = service::canonical_name(config_.consumer(consumer)->service.type, name);
  if (listing.spellings.emplace(key(consumer, name), spelling).second)
    listing.names.push_back(std::move(spelling));
}

void NameIndex::remove(Listing& listing, const std::string& key) {
  const auto found = listing.spellings.find(key);
  if (found == listing.spellings.end()) return;
  std::erase(listing.names, found->second);
  listing.spellings.erase(found);
}

void NameIndex::replace_listed(ConsumerId consumer, const std::vector<std::string>& ai_models) {
  Listing listing;
  for (const std::string& name : ai_models) add(listing, consumer, name);
  listings_[consumer] = std::move(listing);
}

void NameIndex::replace_catalog(ConsumerId consumer, const std::vector<AiModelFacts>& ai_models) {
  Catalog next;
  Listing in_files;
  for (const AiModelFacts& facts : ai_models) {
    add(in_files, consumer, facts.name);
    if (next.size() < kMaxListedAiModels) next.emplace(key(consumer, facts.name), facts);
  }
  const bool is_first = !catalogs_.contains(consumer);
  const Catalog before = std::exchange(catalogs_[consumer], std::move(next));
  in_files_[consumer] = std::move(in_files);
  const auto listing = listings_.find(consumer);
  if (is_first || listing == listings_.end()) return;
  const Catalog& now = catalogs_[consumer];
  for (const auto& [key, facts] : before)
    if (!now.contains(key)) remove(listing->second, key);
  for (const auto& [key, facts] : now)
    if (!before.contains(key)) add(listing->second, consumer, facts.name);
}

std::optional<ConsumerId> NameIndex::find_consumer(std::string_view name) const {
  if (const auto id = config::find_id(config_.ids().consumers, name)) return ConsumerId{*id};
  for (const ConsumerId consumer : configured())
    if (contains(config_.consumer(consumer)->aliases, name)) return consumer;
  return std::nullopt;
}

std::vector<std::string> NameIndex::ai_models(ConsumerId consumer) const {
  const config::ConsumerSnapshot config = config_.consumer(consumer);
  Listing all;
  for (const auto& [name, footprint] : config->ai_models) add(all, consumer, name);
  const auto& lists = was_listed(consumer) ? listings_ : in_files_;
  const auto found = lists.find(consumer);
  if (found == lists.end()) return std::move(all.names);
  for (const std::string& name : found->second.names) add(all, consumer, name);
  return std::move(all.names);
}

std::optional<std::string> NameIndex::known_spelling(ConsumerId consumer, std::string_view ai_model) const {
  const config::ConsumerSnapshot config = config_.consumer(consumer);
  const std::string wanted = key(consumer, ai_model);
  for (const auto& [name, footprint] : config->ai_models)
    if (key(consumer, name) == wanted) return service::canonical_name(config->service.type, name);
  const auto& lists = was_listed(consumer) ? listings_ : in_files_;
  const auto found = lists.find(consumer);
  if (found == lists.end()) return std::nullopt;
  const auto listed = found->second.spellings.find(wanted);
  return listed == found->second.spellings.end() ? std::nullopt : std::optional(listed->second);
}

bool NameIndex::may_offer(ConsumerId consumer, std::string_view ai_model) const {
  return !was_listed(consumer) || known_spelling(consumer, ai_model).has_value();
}

const AiModelFacts* NameIndex::facts(ConsumerId consumer, std::string_view ai_model) const {
  const auto catalog = catalogs_.find(consumer);
  if (catalog == catalogs_.end()) return nullptr;
  const auto found = catalog->second.find(key(consumer, ai_model));
  return found == catalog->second.end() ? nullptr : &found->second;
}

std::string NameIndex::weights(ConsumerId consumer, std::string_view ai_model) const {
  const AiModelFacts* known = facts(consumer, ai_model);
  return known == nullptr ? "" : known->weights;
}

std::vector<std::string> NameIndex::sharing_names(ConsumerId consumer, std::string_view weights) const {
  std::vector<std::string> names;
  const auto catalog = catalogs_.find(consumer);
  if (catalog == catalogs_.end()) return names;
  for (const auto& [key, facts] : catalog->second)
    if (facts.weights == weights) names.push_back(facts.name);
  return names;
}

std::optional<NamedTarget> NameIndex::find_exactly(std::string_view name) const {
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    const auto consumer = find_consumer(name.substr(0, slash));
    const std::string_view ai_model = name.substr(slash + 1);
    if (consumer && !ai_model.empty())
      return NamedTarget{.consumer = *consumer, .ai_model = std::string(ai_model)};
  }
  if (const auto consumer = find_consumer(name)) return NamedTarget{.consumer = *consumer};
  for (const ConsumerId consumer : configured())
    if (auto known = known_spelling(consumer, name))
      return NamedTarget{.consumer = consumer, .ai_model = *std::move(known)};
  return std::nullopt;
}

Result<NamedTarget> NameIndex::find(std::string_view name) const {
  if (auto found = find_exactly(name)) return *std::move(found);
  if (name.ends_with(kLatestTag))
    if (auto found = find_exactly(name.substr(0, name.size() - kLatestTag.size()))) return *std::move(found);
  return std::unexpected(unknown_name_error(name));
}

Error NameIndex::unknown_name_error(std::string_view name) const {
  std::vector<std::string> known;
  for (const ConsumerId consumer : configured()) {
    const config::ConsumerSnapshot config = config_.consumer(consumer);
    known.push_back(config->name);
    known.insert(known.end(), config->aliases.begin(), config->aliases.end());
    const auto names = ai_models(consumer);
    known.insert(known.end(), names.begin(), names.end());
  }
  std::string text =
      "there is no consumer or AI model \"" + sanitize_text(name, kMaxAiModelLength) + "\"; known are ";
  if (known.empty()) text += "none";
  for (std::size_t i = 0; i < known.size() && i < kMaxNamesInError; ++i)
    text += (i == 0 ? "" : ", ") + known[i];
  if (known.size() > kMaxNamesInError) text += ", ...";
  return {ErrorCode::not_found, text};
}

}  // namespace mgpu::engine
