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

NameIndex::NameIndex(const config::LiveConfig& config) : config_(config) {}

std::vector<ConsumerId> NameIndex::configured() const {
  std::vector<ConsumerId> found;
  const auto& slots = config_.ids().consumers;
  for (std::size_t i = 0; i < slots.size(); ++i)
    if (slots[i].configured) found.push_back(ConsumerId{i});
  return found;
}

void NameIndex::replace_listed(ConsumerId consumer, std::vector<std::string> ai_models) {
  const config::ServiceType type = config_.consumer(consumer)->service.type;
  AiModels& listed = listings_[consumer];
  listed.clear();
  for (const std::string& name : ai_models) {
    if (listed.size() >= kMaxListedAiModels) break;
    if (name.size() > kMaxAiModelLength) continue;
    listed.push_back(service::canonical_name(type, name));
  }
}

std::optional<ConsumerId> NameIndex::find_consumer(std::string_view name) const {
  if (const auto id = config::find_id(config_.ids().consumers, name)) return ConsumerId{*id};
  for (const ConsumerId consumer : configured())
    if (contains(config_.consumer(consumer)->aliases, name)) return consumer;
  return std::nullopt;
}

std::vector<std::string> NameIndex::ai_models(ConsumerId consumer) const {
  const config::ConsumerSnapshot config = config_.consumer(consumer);
  std::vector<std::string> names;
  for (const auto& [name, footprint] : config->ai_models)
    names.push_back(service::canonical_name(config->service.type, name));
  const auto listed = listings_.find(consumer);
  if (listed == listings_.end()) return names;
  for (const std::string& name : listed->second)
    if (!contains(names, name)) names.push_back(name);
  return names;
}

bool NameIndex::is_known_ai_model(ConsumerId consumer, std::string_view ai_model) const {
  const config::ConsumerSnapshot config = config_.consumer(consumer);
  const auto is_named = [&](const auto& one) {
    return service::canonical_name(config->service.type, one.first) == ai_model;
  };
  const auto listed = listings_.find(consumer);
  return (listed != listings_.end() && contains(listed->second, ai_model)) ||
         std::ranges::any_of(config->ai_models, is_named);
}

bool NameIndex::may_offer(ConsumerId consumer, std::string_view ai_model) const {
  return !was_listed(consumer) || is_known_ai_model(consumer, ai_model);
}

Result<NamedTarget> NameIndex::find(std::string_view name) const {
  if (const std::size_t slash = name.find('/'); slash != std::string_view::npos) {
    const auto consumer = find_consumer(name.substr(0, slash));
    const std::string_view ai_model = name.substr(slash + 1);
    if (consumer && !ai_model.empty())
      return NamedTarget{.consumer = *consumer, .ai_model = std::string(ai_model)};
  }
  if (const auto consumer = find_consumer(name)) return NamedTarget{.consumer = *consumer};
  for (const ConsumerId consumer : configured()) {
    const config::ServiceType type = config_.consumer(consumer)->service.type;
    const std::string ai_model = service::canonical_name(type, name);
    if (is_known_ai_model(consumer, ai_model)) return NamedTarget{.consumer = consumer, .ai_model = ai_model};
  }
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
