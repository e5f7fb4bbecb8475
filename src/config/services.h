// Constant properties of each service type: its name, the keys it supports, its defaults. The rows are in
// services.inc; the protocols are in src/service.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

enum class AiModelCount : std::uint8_t {
  one,                     // at most one at a time: the consumer's only resident
  several,                 // loaded and unloaded one by one: a resident each
  several_in_router_mode,  // several if the key `router` is set, else one
};

struct ServiceTraits {
  std::string_view name{};              // in YAML and JSON: "llama-server"
  std::string_view scheme = "http://";  // of its url
  std::string_view health = "/health";  // default path of the health check; empty: none
  AiModelCount ai_model_count = AiModelCount::one;
  // Its process takes device memory only when it is told to load: it may be started for a look. Counts only
  // where it serves several AI models.
  bool starts_without_memory = false;
  std::string_view default_tag{};  // ollama: "M" means "M:latest"
  // Prefixes of names that mean nothing, the longest first, and whether names differ by case.
  std::vector<std::string_view> implied_prefixes{};
  bool ignores_case = false;
  bool lists_all = false;            // an AI model that it does not list does not exist
  bool answers_ollama_show = false;  // POST /api/show may be forwarded to it
  bool websocket = false;            // a client may upgrade a connection to a WebSocket
  // The folder of an application with several AI models: the environment variable that names it, and the
  // defaults.
  std::string_view weights_variable{};
  std::vector<std::string_view> weights_folders{};
  std::vector<std::string_view> keys{};  // the service-specific keys that it supports
  // Header and prefix of the key from api_key_env or api_key_file
  std::string_view credential = "Authorization: Bearer ";
  // Phrases in an answer's body or in its log, besides the common ones, that mean that device memory ran out;
  // lower case.
  std::vector<std::string_view> out_of_memory_phrases{};
  int out_of_memory_min_status = 500;  // the least HTTP status of an answer in which they count
};

// REQUIRES: `type` is an enumerator. `none` has only a name.
const ServiceTraits& service_traits(ServiceType type);

std::string_view service_name(ServiceType type);
const std::vector<std::string>& service_names();  // in the order of ServiceType, "none" first

// The keys that only some service types support.
const std::vector<std::string>& service_specific_keys();
bool supports_key(ServiceType type, std::string_view key);
std::string services_supporting(std::string_view key);       // "generic, ollama"
ServiceType first_service_supporting(std::string_view key);  // generic if no row lists the key

// Whether the service loads and unloads several AI models one by one, each a resident.
bool has_several_ai_models(const ServiceConfig& service);

}  // namespace mgpu::config
