// What is true of each kind of service, whoever asks: its name, what it may be configured with, what belongs
// to it without being said. One row each, in services.inc; how it is spoken to is the room `service`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

enum class AiModelCount : std::uint8_t {
  one,                     // one at a time, or one from start to end: the consumer's only resident
  several,                 // they come and go one by one: a resident each
  several_in_router_mode,  // as the key `router_config` says
};

struct ServiceTraits {
  std::string_view name{};              // in YAML and JSON: "llama-server"
  std::string_view scheme = "http://";  // of its url
  std::string_view health = "/health";  // the path asked where the configuration names none; empty: none
  AiModelCount ai_model_count = AiModelCount::one;
  std::string_view default_tag{};    // ollama: "M" is "M:latest"
  bool answers_ollama_show = false;  // POST /api/show may be passed on to it
  bool websocket = false;            // a client may upgrade a connection to a WebSocket
  // Where an application of several AI models keeps them: the variable that names the folder, and the usual
  // ones.
  std::string_view weights_variable{};
  std::vector<std::string_view> weights_folders{};
  std::vector<std::string_view> keys{};  // of those that not every service has (service_specific_keys)
  std::string_view credential = "Authorization: Bearer ";  // how api_key_env or api_key_file is presented
  std::vector<std::string_view> free_paths{};  // need no turn, unless the configuration names others
  // Signs in an answer's body or in its log that device memory ran out, besides the common ones; lower case.
  std::vector<std::string_view> out_of_memory_phrases{};
  int out_of_memory_min_status = 500;  // the least HTTP status with which they count
};

// REQUIRES: a type of the table; none has no facts but its name.
const ServiceTraits& service_traits(ServiceType type);

std::string_view service_name(ServiceType type);
const std::vector<std::string>& service_names();  // in the order of ServiceType, "none" first

// Keys that have a meaning for some services only; a row of the table says for which.
const std::vector<std::string>& service_specific_keys();
bool supports_key(ServiceType type, std::string_view key);
std::string services_supporting(std::string_view key);       // "generic, ollama"
ServiceType first_service_supporting(std::string_view key);  // generic for a key that every service has

// Whether one service offers several AI models that come and go one by one.
bool has_several_ai_models(const ServiceConfig& service);

}  // namespace mgpu::config
