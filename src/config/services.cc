#include "config/services.h"

#include <algorithm>

namespace mgpu::config {
namespace {

const std::vector<ServiceFacts>& table() {
  static const std::vector<ServiceFacts> rows{
      ServiceFacts{.name = "none", .scheme = "", .health = ""},
#define MGPU_SERVICE(id, ...) ServiceFacts{__VA_ARGS__},
#include "config/services.inc"
  };
  return rows;
}

}  // namespace

const ServiceFacts& facts_of(ServiceType type) { return table()[static_cast<std::size_t>(type)]; }

std::string_view service_name(ServiceType type) { return facts_of(type).name; }

const std::vector<std::string>& service_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const ServiceFacts& row : table()) all.emplace_back(row.name);
    return all;
  }();
  return names;
}

const std::vector<std::string>& keys_of_some_services() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> all;
    for (const ServiceFacts& row : table())
      for (const std::string_view key : row.keys)
        if (std::ranges::find(all, key) == all.end()) all.emplace_back(key);
    return all;
  }();
  return keys;
}

bool takes_key(ServiceType type, std::string_view key) {
  return std::ranges::find(facts_of(type).keys, key) != facts_of(type).keys.end();
}

std::string services_that_take(std::string_view key) {
  std::string names;
  for (const ServiceFacts& row : table())
    if (std::ranges::find(row.keys, key) != row.keys.end())
      names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

ServiceType first_that_takes(std::string_view key) {
  for (std::size_t i = 0; i < table().size(); ++i)
    if (takes_key(static_cast<ServiceType>(i), key)) return static_cast<ServiceType>(i);
  return ServiceType::generic;
}

bool has_several_ai_models(const ServiceConfig& service) {
  const AiModels ai_models = facts_of(service.type).ai_models;
  return ai_models == AiModels::several || (ai_models == AiModels::several_in_router_mode && service.router);
}

}  // namespace mgpu::config
