// The tables of request_table.h. A rule that frees a request from its turn is as exact as the application's
// own routes, and stands before the general ones. Sources: the applications' routers, in the versions of
// docs/services.md.
#include "service/request_table.h"

namespace mgpu::service {
namespace {

using enum RequestMeaning;
using config::ServiceType;

constexpr RequestRule kGeneric[] = {
    {"POST|WEBSOCKET", "*", computes},  // replaced by the key turn_for
    {"*", "*", looks},
};

constexpr RequestRule kOllama[] = {
    {"POST", "/api/generate", steers_memory, Steering::ollama_generate},
    {"POST", "/api/chat", steers_memory, Steering::ollama_chat},
    {"POST", "/api/embed", steers_memory, Steering::ollama_embed},
    {"POST", "/api/embeddings", steers_memory, Steering::ollama_embeddings},
    {"POST", "/api/show", looks},
    {"POST", "/api/me", looks},
    {"POST", "/api/signout", looks},
    {"POST", "/api/pull", manages_files},
    {"POST", "/api/push", manages_files},
    {"POST", "/api/create", manages_files},
    {"POST", "/api/copy", manages_files},
    {"POST", "/api/blobs/*", manages_files},
    {"DELETE", "/api/delete", manages_files},
    {"DELETE", "/v1/responses/*", cancels},
    {"POST", "/v1/responses/*/cancel", cancels},
    {"GET", "*", looks},
};

// The first rules are the router's.
constexpr RequestRule kLlamaServer[] = {
    {"POST", "/models/load", steers_memory, Steering::llama_router_load},
    {"POST", "/models/unload", steers_memory, Steering::llama_router_unload},
    {"POST|DELETE", "/models", manages_files},
    {"GET", "/slots", looks_if_warm},  // wakes a server that sleeps
    {"POST", "/v1/chat/completions/control", cancels},
    {"POST", "/v1/streams/lookup", looks},
    {"POST", "/tokenize", uses_loaded},
    {"POST", "/detokenize", uses_loaded},
    {"POST", "/apply-template", uses_loaded},
    {"POST", "/chat/completions/input_tokens", uses_loaded},
    {"POST", "/v1/chat/completions/input_tokens", uses_loaded},
    {"POST", "/responses/input_tokens", uses_loaded},
    {"POST", "/v1/responses/input_tokens", uses_loaded},
    {"POST", "/v1/messages/count_tokens", uses_loaded},
    {"POST", "/cors-proxy", looks},
    {"POST", "/tools", looks},
    {"DELETE", "*", cancels},  // the page's stop button: /v1/stream/{conversation}
    {"GET", "*", looks},
};

constexpr RequestRule kVllm[] = {
    {"POST", "/wake_up", steers_memory, Steering::vllm_wake_up},
    {"POST", "/sleep", steers_memory, Steering::vllm_sleep},
    {"POST", "/tokenize", uses_loaded},
    {"POST", "/detokenize", uses_loaded},
    {"POST", "/ping", looks},
    {"POST", "/abort_requests", cancels},
    {"POST", "/v1/responses/*/cancel", cancels},
    {"GET", "*", looks},
};

// Many of its control routes take GET as well.
constexpr RequestRule kSglang[] = {
    {"GET|POST|PUT", "/release_memory_occupation", steers_memory, Steering::sglang_release},
    {"GET|POST|PUT", "/resume_memory_occupation", steers_memory, Steering::sglang_resume},
    {"GET", "/health", looks_if_warm},  // generates a token, and must not while memory is released
    {"GET", "/health_generate", computes},
    {"GET", "/flush_cache", computes},
    {"GET", "/clear_hicache_storage_backend", computes},
    {"GET", "/get_weights_by_name", computes},
    {"GET", "/start_profile", computes},
    {"GET", "/stop_profile", computes},
    {"GET", "/set_internal_state", computes},
    {"GET", "/slow_down", computes},
    {"POST", "/abort_request", cancels},
    {"POST", "/v1/responses/*/cancel", cancels},
    {"DELETE", "/v1/responses/*", cancels},
    {"POST", "/tokenize", uses_loaded},
    {"POST", "/v1/tokenize", uses_loaded},
    {"POST", "/detokenize", uses_loaded},
    {"POST", "/v1/detokenize", uses_loaded},
    {"POST", "/api/show", looks},
    {"GET", "*", looks},
};

// Also under /api (classify).
constexpr RequestRule kComfyui[] = {
    {"POST", "/prompt", computes},
    {"POST", "/free", steers_memory, Steering::comfyui_free},
    {"POST", "/interrupt", cancels},
    {"POST", "/queue", cancels},
    {"POST", "/jobs/*", cancels},
    {"POST", "/history", manages_files},
    {"POST", "/upload/*", manages_files},
    {"POST", "/users", manages_files},
    {"POST", "/settings*", manages_files},
    {"POST|PUT|DELETE", "/userdata/*", manages_files},
    {"POST|PUT|DELETE", "/assets*", manages_files},
    {"PATCH", "/internal/logs/*", looks},
    {"GET|WEBSOCKET", "*", looks},
};

constexpr RequestRule kA1111[] = {
    {"POST", "/sdapi/v1/unload-checkpoint", steers_memory, Steering::a1111_unload},
    {"POST", "/sdapi/v1/reload-checkpoint", steers_memory, Steering::a1111_reload},
    {"POST", "/sdapi/v1/interrupt", cancels},
    {"POST", "/sdapi/v1/skip", cancels},
    {"POST", "/sdapi/v1/refresh-*", manages_files},
    {"POST", "/sdapi/v1/png-info", looks},
    {"POST", "/internal/progress", looks},
    {"POST", "/login", looks},
    {"GET", "*", looks},
};

constexpr RequestRule kTabbyapi[] = {
    {"POST", "/v1/model/load", steers_memory, Steering::tabbyapi_load},
    {"POST", "/v1/model/unload", steers_memory, Steering::tabbyapi_unload},
    {"POST", "/v1/download", manages_files},
    {"POST", "/v1/token/encode", uses_loaded},
    {"POST", "/v1/token/decode", uses_loaded},
    {"POST", "/api/extra/abort", cancels},
    {"POST", "/api/extra/generate/check", looks},
    {"GET", "*", looks},
};

constexpr RequestRule kLmStudio[] = {
    {"POST", "/api/v1/models/load", steers_memory, Steering::lm_studio_load},
    {"POST", "/api/v1/models/unload", steers_memory, Steering::lm_studio_unload},
    {"POST", "/api/v1/models/download", manages_files},
    {"GET", "*", looks},
};

constexpr RequestRule kLocalai[] = {
    {"POST", "/backend/load", steers_memory, Steering::localai_load},
    {"POST", "/backend/shutdown", steers_memory, Steering::localai_shutdown},
    {"POST", "/models/*", manages_files},
    {"POST", "/backends/*", manages_files},
    {"DELETE", "*", manages_files},
    {"GET", "*", looks},
};

constexpr RequestRule kSpeaches[] = {
    {"POST", "/api/ps/{model}", steers_memory, Steering::speaches_load},
    {"DELETE", "/api/ps/{model}", steers_memory, Steering::speaches_unload},
    {"POST", "/api/pull/{model}", manages_files},
    {"POST|DELETE", "/v1/models/{model}", manages_files},
    {"GET", "*", looks},
};

constexpr RequestRule kTriton[] = {
    {"POST", "/v2/repository/models/{model}/load", steers_memory, Steering::triton_load},
    {"POST", "/v2/repository/models/{model}/unload", steers_memory, Steering::triton_unload},
    {"POST", "/v2/repository/index", looks},
    {"POST", "/v2/models/{model}/trace/setting", looks},
    {"POST", "/v2/trace/setting", looks},
    {"POST", "/v2/logging", looks},
    {"POST", "/v2/models/{model}/versions/*", computes},
    {"POST", "/v2/models/{model}/*", computes},
    {"GET", "*", looks},
};

constexpr RequestRule kTextGenerationWebui[] = {
    {"POST", "/v1/internal/model/load", steers_memory, Steering::webui_load},
    {"POST", "/v1/internal/model/unload", steers_memory, Steering::webui_unload},
    {"POST", "/v1/internal/stop-generation", cancels},
    {"POST", "/v1/internal/encode", uses_loaded},
    {"POST", "/v1/internal/decode", uses_loaded},
    {"POST", "/v1/internal/token-count", uses_loaded},
    {"GET", "*", looks},
};

constexpr RequestRule kKoboldcpp[] = {
    {"POST", "/api/admin/reload_config", steers_memory, Steering::koboldcpp_reload},
    {"POST", "/api/extra/abort", cancels},
    {"POST", "/api/extra/generate/check", looks},
    {"POST", "/api/extra/tokencount", uses_loaded},
    {"POST", "/api/extra/tokenize", uses_loaded},
    {"POST", "/api/extra/detokenize", uses_loaded},
    {"POST", "/api/extra/last_logprobs", looks},
    {"POST", "/api/extra/json_to_grammar", looks},
    {"POST", "/api/extra/websearch", looks},
    {"POST", "/api/extra/multiplayer/*", looks},
    {"POST", "/api/extra/data/*", manages_files},
    {"POST", "/api/show", looks},
    {"POST", "/interrupt", cancels},
    {"GET", "*", looks},
};

constexpr RequestRule kTei[] = {
    {"POST", "/tokenize", uses_loaded},
    {"POST", "/decode", uses_loaded},
    {"GET", "*", looks},
};

constexpr RequestRule kInvokeai[] = {
    {"POST", "/api/v2/models/empty_model_cache", steers_memory, Steering::invokeai_empty_cache},
    {"PUT", "/api/v1/queue/*/processor/resume", computes},
    {"PUT|DELETE", "/api/v1/queue/*", cancels},
    {"POST", "/api/v1/utilities/dynamicprompts", looks},
    {"POST", "/api/v1/auth/*", looks},
    {"POST", "/api/v1/app/*", looks},
    {"POST", "/ws/*", looks},
    {"POST", "/api/v1/images/*", manages_files},
    {"POST", "/api/v1/boards/*", manages_files},
    {"POST", "/api/v1/board_images/*", manages_files},
    {"POST", "/api/v1/workflows/*", manages_files},
    {"POST", "/api/v1/style_presets/*", manages_files},
    {"POST", "/api/v1/client_state/*", manages_files},
    {"POST", "/api/v2/models/*", manages_files},
    {"PUT|PATCH|DELETE", "*", manages_files},
    {"GET|WEBSOCKET", "*", looks},
};

constexpr RequestRule kSdServer[] = {
    {"POST|DELETE", "/sdcpp/v1/jobs/*", cancels},
    {"GET", "*", looks},
};

constexpr RequestRule kOnlyLooks[] = {{"GET", "*", looks}};  // whisper-cpp, infinity: all else computes

}  // namespace

std::span<const RequestRule> request_rules(ServiceType type) {
  switch (type) {
    case ServiceType::none:
    case ServiceType::wyoming:  // not HTTP
      return {};
    case ServiceType::generic:
      return kGeneric;
    case ServiceType::ollama:
      return kOllama;
    case ServiceType::llama_server:
      return kLlamaServer;
    case ServiceType::vllm:
      return kVllm;
    case ServiceType::sglang:
      return kSglang;
    case ServiceType::comfyui:
      return kComfyui;
    case ServiceType::a1111:
      return kA1111;
    case ServiceType::tabbyapi:
      return kTabbyapi;
    case ServiceType::lm_studio:
      return kLmStudio;
    case ServiceType::localai:
      return kLocalai;
    case ServiceType::speaches:
      return kSpeaches;
    case ServiceType::triton:
      return kTriton;
    case ServiceType::text_generation_webui:
      return kTextGenerationWebui;
    case ServiceType::koboldcpp:
      return kKoboldcpp;
    case ServiceType::tei:
      return kTei;
    case ServiceType::invokeai:
      return kInvokeai;
    case ServiceType::sd_server:
      return kSdServer;
    case ServiceType::whisper_cpp:
    case ServiceType::infinity:
      return kOnlyLooks;
  }
  return {};
}

}  // namespace mgpu::service
