#include "config/services.h"

#include <algorithm>

namespace mgpu::config {
namespace {

const std::vector<ServiceTraits>& traits_table() {
  static const std::vector<ServiceTraits> rows{
      ServiceTraits{.name = "none", .scheme = "", .health = ""},
#define MGPU_SERVICE(id, ...) ServiceTraits{__VA_ARGS__},
#include "config/services.inc"
  };
  return rows;
}

}  // namespace

const ServiceTraits& service_traits(ServiceType type) {
  return traits_table()[static_cast<std::size_t>(type)];
}

std::string_view service_name(ServiceType type) { return service_traits(type).name; }

const std::vector<std::string>& service_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const ServiceTraits& row : traits_table()) all.emplace_back(row.name);
    return all;
  }();
  return names;
}

const std::vector<std::string>& service_specific_keys() {
  static const std::vector<std::string> keys = [] {
    std::vector<std::string> all;
    for (const ServiceTraits& row : traits_table())
      for (const std::string_view key : row.keys)
        if (std::ranges::find(all, key) == all.end()) all.emplace_back(key);
    return all;
  }();
  return keys;
}

bool supports_key(ServiceType type, std::string_view key) {
  return std::ranges::find(service_traits(type).keys, key) != service_traits(type).keys.end();
}

std::string services_supporting(std::string_view key) {
  std::string names;
  for (const ServiceTraits& row : traits_table())
    if (std::ranges::find(row.keys, key) != row.keys.end())
      names += (names.empty() ? "" : ", ") + std::string(row.name);
  return names;
}

ServiceType first_service_supporting(std::string_view key) {
  for (std::size_t i = 0; i < traits_table().size(); ++i)
    if (supports_key(static_cast<ServiceType>(i), key)) return static_cast<ServiceType>(i);
  return ServiceType::generic;
}

bool has_several_ai_models(const ServiceConfig& service) {
  const AiModelCount ai_models = service_traits(service.type).ai_model_count;
  return ai_models == AiModelCount::several ||
         (ai_models == AiModelCount::several_in_router_mode && service.router);
}

}  // namespace mgpu::config
