#include "engine/name_index.h"

#include <algorithm>
#include <utility>

#include "base/sanitize.h"
#include "engine/engine.h"
#include "service/service.h"

namespace mgpu::engine {
namespace {

constexpr std::size_t kMaxNamesInError = 20;

bool contains(const std::vector<std::string>& names, std::string_view name) {
  return std::ranges::find(names, name) != names.end();
}

}  // namespace

NameIndex::NameIndex(const std::vector<config::ConsumerConfig>& consumers) {
  for (const config::ConsumerConfig& consumer : consumers) entries_.push_back({.config = &consumer});
}

void NameIndex::replace_listed(ConsumerId consumer, std::vector<std::string> ai_models) {
  ConsumerNames& entry = entries_[consumer.value];
  entry.listed = true;
  entry.listed_ai_models.clear();
  for (const std::string& name : ai_models) {
    if (entry.listed_ai_models.size() >= kMaxListedAiModels) break;
    if (name.size() > kMaxAiModelLength) continue;
    entry.listed_ai_models.push_back(service::canonical_name(entry.config->service.type, name));
  }
}

std::optional<ConsumerId> NameIndex::find_consumer(std::string_view name) const {
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (entries_[i].config->name == name) return ConsumerId{i};
  for (std::size_t i = 0; i < entries_.size(); ++i)
    if (contains(entries_[i].config->aliases, name)) return ConsumerId{i};
  return std::nullopt;
}

std::vector<std::string> NameIndex::ai_models(ConsumerId consumer) const {
  const ConsumerNames& entry = entries_[consumer.value];
  std::vector<std::string> names;
  for (const auto& [name, footprint] : entry.config->ai_models)
    names.push_back(service::canonical_name(entry.config->service.type, name));
  for (const std::string& name : entry.listed_ai_models)
    if (!contains(names, name)) names.push_back(name);
  return names;
}

bool NameIndex::is_known_ai_model(ConsumerId consumer, std::string_view ai_model) const {
  const ConsumerNames& entry = entries_[consumer.value];
  const auto configured = [&](const auto& one) {
    return service::canonical_name(entry.config->service.type, one.first) == ai_model;
  };
  return contains(entry.listed_ai_models, ai_model) ||
         std::ranges::any_of(entry.config->ai_models, configured);
}

bool NameIndex::may_offer(ConsumerId consumer, std::string_view ai_model) const {
  return !entries_[consumer.value].listed || is_known_ai_model(consumer, ai_model);
}

Result<NamedTarget> NameIndex::find(std::string_view name) const {
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    const auto consumer = find_consumer(name.substr(0, slash));
    const std::string_view ai_model = name.substr(slash + 1);
    if (consumer && !ai_model.empty())
      return NamedTarget{.consumer = *consumer, .ai_model = std::string(ai_model)};
  }
  if (const auto consumer = find_consumer(name)) return NamedTarget{.consumer = *consumer};
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const std::string ai_model = service::canonical_name(entries_[i].config->service.type, name);
    if (is_known_ai_model(ConsumerId{i}, ai_model))
      return NamedTarget{.consumer = ConsumerId{i}, .ai_model = ai_model};
  }
  return std::unexpected(unknown_name_error(name));
}

Error NameIndex::unknown_name_error(std::string_view name) const {
  std::vector<std::string> known;
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    known.push_back(entries_[i].config->name);
    known.insert(known.end(), entries_[i].config->aliases.begin(), entries_[i].config->aliases.end());
    const auto names = ai_models(ConsumerId{i});
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
