// What is true of each kind of service, whoever asks: its name, what it may be configured with, what belongs
// to it without being said. One row each, in services.inc; how it is spoken to is the room `service`.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"

namespace mgpu::config {

enum class AiModels : std::uint8_t {
  one,                     // one at a time, or one from start to end: the consumer's only resident
  several,                 // they come and go one by one: a resident each
  several_in_router_mode,  // as the key `router` says
};

struct ServiceFacts {
  std::string_view name{};              // in YAML and JSON: "llama-server"
  std::string_view scheme = "http://";  // of its url
  std::string_view health = "/health";  // the path asked where the configuration names none; empty: none
  AiModels ai_models = AiModels::one;
  std::string_view default_tag{};    // ollama: "M" is "M:latest"
  bool answers_ollama_show = false;  // POST /api/show may be passed on to it
  bool websocket = false;            // a client may upgrade a connection to a WebSocket
  // Where an application of several AI models keeps them: the variable that names the folder, and the usual
  // ones.
  std::string_view weights_variable{};
  std::vector<std::string_view> weights_folders{};
  std::vector<std::string_view> keys{};  // of those that not every service has (keys_of_some_services)
  std::string_view credential = "Authorization: Bearer ";  // how api_key_env or api_key_file is presented
  std::vector<std::string_view> free_paths{};  // need no turn, unless the configuration names others
  // Signs in an answer's body or in its log that device memory ran out, besides the common ones; lower case.
  std::vector<std::string_view> out_of_memory{};
  int out_of_memory_from = 500;  // the least HTTP status with which they count
};

// REQUIRES: a type of the table; none has no facts but its name.
const ServiceFacts& facts_of(ServiceType type);

std::string_view service_name(ServiceType type);
const std::vector<std::string>& service_names();  // in the order of ServiceType, "none" first

// Keys that have a meaning for some services only; a row of the table says for which.
const std::vector<std::string>& keys_of_some_services();
bool takes_key(ServiceType type, std::string_view key);
std::string services_that_take(std::string_view key);  // "generic, ollama"
ServiceType first_that_takes(std::string_view key);    // generic for a key that every service has

// Whether one service offers several AI models that come and go one by one.
bool has_several_ai_models(const ServiceConfig& service);

}  // namespace mgpu::config
