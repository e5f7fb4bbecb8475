#include "gateway/ollama_body.h"

#include <algorithm>
#include <chrono>
#include <set>

#include <nlohmann/json.hpp>

#include "base/ascii.h"
#include "base/sha256.h"
#include "base/time.h"

namespace mgpu::gateway {
namespace {

using Json = nlohmann::ordered_json;

// How far in the future `expires_at` of an AI model is that is never unloaded for being idle. Ollama's
// command shows everything beyond 20 years as "Forever".
constexpr std::int64_t kForeverMs = std::int64_t{100} * 366 * 24 * 3600 * 1000;

std::string dump_json(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

std::string rfc3339(std::int64_t unix_ms) {
  return to_rfc3339(std::chrono::system_clock::time_point(std::chrono::milliseconds(unix_ms)));
}

Json details_json(const AiModelFacts& facts) {
  return {{"parent_model", ""},
          {"format", facts.format},
          {"family", facts.family},
          {"families", Json(facts.families)},
          {"parameter_size", facts.parameter_size},
          {"quantization_level", facts.quantization}};
}

// All names of one consumer that stand for the same AI model have one digest.
std::string stable_digest(const ListedModel& listed) {
  return sha256_hex("mgpu/" + listed.owner + "/" + (listed.is_alias ? listed.owner : listed.id));
}

Json model_json(const ListedModel& listed) {
  const AiModelFacts facts = listed.facts.value_or(AiModelFacts{});
  return {{"name", listed.id},
          {"model", listed.id},
          {"size", (facts.size > Bytes{} ? facts.size : listed.footprint).count},
          {"digest", facts.digest.empty() ? stable_digest(listed) : facts.digest},
          {"details", details_json(facts)}};
}

std::string modified_at(const ListedModel& listed, std::int64_t now_ms) {
  const std::int64_t modified_ms = listed.facts ? listed.facts->modified_ms : 0;
  return rfc3339(modified_ms > 0 ? modified_ms : now_ms);
}

std::string expires_at(const ListedModel& listed, std::int64_t now_ms) {
  return rfc3339(listed.expires_ms > 0 ? listed.expires_ms : now_ms + kForeverMs);
}

// The entries of a service's answer; empty if it is none.
Json entries_of(const std::string& answer) {
  const Json parsed = Json::parse(answer, nullptr, false);
  if (!parsed.is_object() || !parsed.contains("models") || !parsed["models"].is_array()) return Json::array();
  return parsed["models"];
}

// The warm entry of the daemon's list for an entry of a service's answer.
const ListedModel* find_warm(const std::vector<ListedModel>& listed, const std::string& owner,
                             const Json& entry) {
  const auto name = entry.is_object() ? entry.find("name") : entry.end();
  if (!entry.is_object() || name == entry.end() || !name->is_string()) return nullptr;
  const auto found = std::ranges::find_if(listed, [&](const ListedModel& one) {
    return one.warm && one.owner == owner && equals_ignore_case(one.id, name->get_ref<const std::string&>());
  });
  return found == listed.end() ? nullptr : &*found;
}

// `add_answered(owner, entry, to)` adds an entry of a service's answer, `add_listed(listed, to)` one that the
// daemon makes.
template <class AddAnswered, class AddListed>
std::string merged_body(const std::vector<ListedModel>& listed, const OllamaAnswers& answers,
                        AddAnswered add_answered, AddListed add_listed) {
  Json models = Json::array();
  std::set<std::string> added;
  const auto add_owner = [&](const std::string& owner) {
    if (!added.insert(owner).second) return;
    for (Json& entry : entries_of(answers.at(owner))) add_answered(owner, entry, models);
  };
  for (const ListedModel& one : listed)
    if (answers.contains(one.owner))
      add_owner(one.owner);
    else
      add_listed(one, models);
  for (const auto& [owner, answer] : answers) add_owner(owner);
  return dump_json({{"models", std::move(models)}});
}

}  // namespace

std::string tags_body(const std::vector<ListedModel>& listed, const OllamaAnswers& answers,
                      std::int64_t now_ms) {
  const auto add_answered = [](const std::string&, Json& entry, Json& to) { to.push_back(std::move(entry)); };
  const auto add_listed = [now_ms](const ListedModel& one, Json& to) {
    Json json = model_json(one);
    json["modified_at"] = modified_at(one, now_ms);
    to.push_back(std::move(json));
  };
  return merged_body(listed, answers, add_answered, add_listed);
}

std::string ps_body(const std::vector<ListedModel>& listed, const OllamaAnswers& answers,
                    std::int64_t now_ms) {
  const auto add_answered = [&](const std::string& owner, Json& entry, Json& to) {
    const ListedModel* known = find_warm(listed, owner, entry);
    if (known != nullptr && known->expires_ms > 0) entry["expires_at"] = expires_at(*known, now_ms);
    to.push_back(std::move(entry));
  };
  const auto add_listed = [now_ms](const ListedModel& one, Json& to) {
    if (!one.warm) return;
    Json json = model_json(one);
    json["size"] = json["size_vram"] = one.footprint.count;
    json["expires_at"] = expires_at(one, now_ms);
    to.push_back(std::move(json));
  };
  return merged_body(listed, answers, add_answered, add_listed);
}

std::string show_body(const ListedModel& listed, std::int64_t now_ms) {
  const AiModelFacts facts = listed.facts.value_or(AiModelFacts{});
  return dump_json({{"modelfile", ""},
                    {"parameters", ""},
                    {"template", ""},
                    {"details", details_json(facts)},
                    {"model_info", {{"general.name", listed.id}}},
                    {"capabilities", Json::array({"completion"})},
                    {"modified_at", modified_at(listed, now_ms)}});
}

}  // namespace mgpu::gateway
