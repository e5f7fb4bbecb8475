// What a request means to a kind of service: whether it uses the device, steers what is loaded, or neither.
// One table for each kind (request_tables.cc), as data; docs/services.md shows them. The gateway asks before
// it queues a request.
//
// The rule for a request that no table knows: it computes. So a service's new route costs a turn that it may
// not need, and never the memory of another consumer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/config.h"

namespace mgpu::service {

enum class RequestMeaning : std::uint8_t {
  computes,       // uses the device: takes a turn, for which its AI model is loaded
  uses_loaded,    // needs the loaded AI model but no device time (a tokenizer): free while that is warm, else
                  // it computes
  steers_memory,  // loads or unloads: becomes our own load or unload (memory_request.h); or computes, if its
                  // body says so
  looks,          // changes nothing: free
  looks_if_warm,  // the same, but the service would load or wake up for it: sent only while its AI model is
                  // warm
  cancels,        // ends work: free
  manages_files,  // changes which AI models there are: free; the service is listed again afterwards
  refused_head,   // HEAD where GET computes: some services compute for both, so it is not sent
};

std::string_view to_string(RequestMeaning meaning);

// Whether the request passes without a turn, whatever is loaded.
constexpr bool is_free(RequestMeaning meaning) {
  return meaning == RequestMeaning::looks || meaning == RequestMeaning::looks_if_warm ||
         meaning == RequestMeaning::cancels || meaning == RequestMeaning::manages_files;
}

// The requests that steer memory; memory_request.cc knows how each names its AI model and how it is answered.
enum class Steering : std::uint8_t {
  none,
  ollama_generate,
  ollama_chat,
  ollama_embed,
  ollama_embeddings,
  llama_router_load,
  llama_router_unload,
  vllm_wake_up,
  vllm_sleep,
  sglang_resume,
  sglang_release,
  comfyui_free,
  a1111_reload,
  a1111_unload,
  tabbyapi_load,
  tabbyapi_unload,
  lm_studio_load,
  lm_studio_unload,
  localai_load,
  localai_shutdown,
  speaches_load,
  speaches_unload,
  triton_load,
  triton_unload,
  webui_load,  // text-generation-webui
  webui_unload,
  koboldcpp_reload,
  invokeai_empty_cache,
  generic_load,  // the requests of the keys `load` and `unload`
  generic_unload,
};

// The method of a request that upgrades its connection to a WebSocket, in rules and for classify().
inline constexpr std::string_view kWebSocketMethod = "WEBSOCKET";

struct RequestRule {
  std::string_view methods{};  // "POST", "PUT|DELETE", "*"
  std::string_view path{};     // * matches any characters, {model} at least one: the AI model's name
  RequestMeaning meaning = RequestMeaning::computes;
  Steering steering = Steering::none;
};

// The table of a kind, in order: the first rule that matches counts. Without the configured additions.
std::span<const RequestRule> request_rules(config::ServiceType type);

struct RequestMatch {
  RequestMeaning meaning = RequestMeaning::computes;
  Steering steering = Steering::none;
  std::string ai_model{};  // that its path names; decoded
  friend bool operator==(const RequestMatch&, const RequestMatch&) = default;
};

// `method` may be kWebSocketMethod; `target` has path and query as in the request line. The path is read in
// every way in which a service might read it (decoded or not, with and without dot segments); if two readings
// mean different things, the request computes.
RequestMatch classify(const config::ServiceConfig& service, std::string_view method, std::string_view target);

// The target to send for a request without a turn: a llama-server router loads the AI model that a query or a
// body names, unless it is told not to.
std::string target_of_look(const config::ServiceConfig& service, std::string_view method,
                           std::string_view target);

// The value of a parameter in the query of a target, decoded; "" if there is none.
std::string query_parameter(std::string_view target, std::string_view name);

// Whether the process of such a service starts without taking device memory: its AI models are loaded later,
// each by a request.
bool starts_without_memory(const config::ServiceConfig& service);

}  // namespace mgpu::service
