#include "service/request_table.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>

#include <gtest/gtest.h>

#include "config/services.h"

namespace mgpu::service {
namespace {

using enum RequestMeaning;
using config::ServiceConfig;
using config::ServiceType;

RequestMeaning meaning_of(const ServiceConfig& service, std::string_view method, std::string_view target) {
  return classify(service, method, target).meaning;
}

struct Expected {
  ServiceType type;
  std::string_view method;
  std::string_view target;
  RequestMeaning meaning;
};

constexpr Expected kExpected[] = {
    // Ollama. Those without input are told apart by their bodies (memory_request_test).
    {ServiceType::ollama, "POST", "/api/generate", steers_memory},
    {ServiceType::ollama, "POST", "/api/chat", steers_memory},
    {ServiceType::ollama, "POST", "/api/embed", steers_memory},
    {ServiceType::ollama, "POST", "/api/embeddings", steers_memory},
    {ServiceType::ollama, "POST", "/v1/chat/completions", computes},
    {ServiceType::ollama, "POST", "/v1/completions", computes},
    {ServiceType::ollama, "POST", "/v1/responses", computes},
    {ServiceType::ollama, "POST", "/v1/messages", computes},
    {ServiceType::ollama, "POST", "/v1/embeddings", computes},
    {ServiceType::ollama, "POST", "/v1/audio/transcriptions", computes},
    {ServiceType::ollama, "POST", "/api/unheard-of", computes},
    {ServiceType::ollama, "GET", "/", looks},
    {ServiceType::ollama, "HEAD", "/", looks},
    {ServiceType::ollama, "GET", "/api/tags", looks},
    {ServiceType::ollama, "GET", "/api/ps", looks},
    {ServiceType::ollama, "GET", "/api/version", looks},
    {ServiceType::ollama, "GET", "/v1/models", looks},
    {ServiceType::ollama, "GET", "/v1/models/llama3.2:3b", looks},
    {ServiceType::ollama, "POST", "/api/show", looks},
    {ServiceType::ollama, "POST", "/api/pull", manages_files},
    {ServiceType::ollama, "POST", "/api/push", manages_files},
    {ServiceType::ollama, "POST", "/api/create", manages_files},
    {ServiceType::ollama, "POST", "/api/copy", manages_files},
    {ServiceType::ollama, "DELETE", "/api/delete", manages_files},
    {ServiceType::ollama, "POST", "/api/blobs/sha256:0a", manages_files},
    {ServiceType::ollama, "HEAD", "/api/blobs/sha256:0a", looks},
    {ServiceType::ollama, "DELETE", "/v1/responses/r1", cancels},

    {ServiceType::llama_server, "POST", "/v1/chat/completions", computes},
    {ServiceType::llama_server, "POST", "/chat/completions", computes},
    {ServiceType::llama_server, "POST", "/completion", computes},
    {ServiceType::llama_server, "POST", "/v1/completions", computes},
    {ServiceType::llama_server, "POST", "/v1/responses", computes},
    {ServiceType::llama_server, "POST", "/v1/messages", computes},
    {ServiceType::llama_server, "POST", "/infill", computes},
    {ServiceType::llama_server, "POST", "/embedding", computes},
    {ServiceType::llama_server, "POST", "/v1/embeddings", computes},
    {ServiceType::llama_server, "POST", "/v1/rerank", computes},
    {ServiceType::llama_server, "POST", "/rerank", computes},
    {ServiceType::llama_server, "POST", "/v1/audio/transcriptions", computes},
    {ServiceType::llama_server, "POST", "/slots/0?action=restore", computes},
    {ServiceType::llama_server, "POST", "/lora-adapters", computes},
    {ServiceType::llama_server, "POST", "/tokenize", uses_loaded},
    {ServiceType::llama_server, "POST", "/detokenize", uses_loaded},
    {ServiceType::llama_server, "POST", "/apply-template", uses_loaded},
    {ServiceType::llama_server, "POST", "/v1/messages/count_tokens", uses_loaded},
    {ServiceType::llama_server, "GET", "/", looks},
    {ServiceType::llama_server, "GET", "/health", looks},
    {ServiceType::llama_server, "GET", "/v1/health", looks},
    {ServiceType::llama_server, "GET", "/props", looks},
    {ServiceType::llama_server, "GET", "/metrics", looks},
    {ServiceType::llama_server, "GET", "/models", looks},
    {ServiceType::llama_server, "GET", "/v1/models", looks},
    {ServiceType::llama_server, "GET", "/models/sse", looks},
    {ServiceType::llama_server, "GET", "/favicon.ico", looks},
    {ServiceType::llama_server, "GET", "/bundle.js?v=3", looks},
    {ServiceType::llama_server, "GET", "/v1/stream/abc", looks},
    {ServiceType::llama_server, "POST", "/v1/streams/lookup", looks},
    {ServiceType::llama_server, "GET", "/slots", looks_if_warm},
    {ServiceType::llama_server, "HEAD", "/slots", looks_if_warm},
    {ServiceType::llama_server, "DELETE", "/v1/stream/abc", cancels},
    {ServiceType::llama_server, "DELETE", "/v1/chat/completions/stream", cancels},
    {ServiceType::llama_server, "POST", "/models/load", steers_memory},
    {ServiceType::llama_server, "POST", "/models/unload", steers_memory},
    {ServiceType::llama_server, "POST", "/models", manages_files},

    {ServiceType::vllm, "POST", "/v1/chat/completions", computes},
    {ServiceType::vllm, "POST", "/pooling", computes},
    {ServiceType::vllm, "POST", "/v2/rerank", computes},
    {ServiceType::vllm, "POST", "/collective_rpc", computes},
    {ServiceType::vllm, "WEBSOCKET", "/v1/realtime", computes},
    {ServiceType::vllm, "POST", "/tokenize", uses_loaded},
    {ServiceType::vllm, "GET", "/health", looks},
    {ServiceType::vllm, "GET", "/is_sleeping", looks},
    {ServiceType::vllm, "GET", "/metrics", looks},
    {ServiceType::vllm, "POST", "/sleep?level=1", steers_memory},
    {ServiceType::vllm, "POST", "/wake_up?tags=weights", steers_memory},

    {ServiceType::sglang, "POST", "/generate", computes},
    {ServiceType::sglang, "PUT", "/generate", computes},
    {ServiceType::sglang, "POST", "/encode", computes},
    {ServiceType::sglang, "POST", "/v1/score", computes},
    {ServiceType::sglang, "POST", "/api/chat", computes},
    {ServiceType::sglang, "POST", "/update_weights_from_disk", computes},
    {ServiceType::sglang, "GET", "/health_generate", computes},
    {ServiceType::sglang, "HEAD", "/health_generate", refused_head},
    {ServiceType::sglang, "GET", "/flush_cache", computes},
    {ServiceType::sglang, "GET", "/health", looks_if_warm},
    {ServiceType::sglang, "GET", "/ready", looks},
    {ServiceType::sglang, "GET", "/v1/loads?include=core", looks},
    {ServiceType::sglang, "GET", "/server_info", looks},
    {ServiceType::sglang, "POST", "/abort_request", cancels},
    {ServiceType::sglang, "POST", "/release_memory_occupation", steers_memory},
    {ServiceType::sglang, "GET", "/release_memory_occupation", steers_memory},
    {ServiceType::sglang, "HEAD", "/release_memory_occupation", refused_head},
    {ServiceType::sglang, "POST", "/resume_memory_occupation", steers_memory},

    {ServiceType::comfyui, "POST", "/prompt", computes},
    {ServiceType::comfyui, "POST", "/api/prompt", computes},
    {ServiceType::comfyui, "POST", "/a-custom-node/run", computes},
    {ServiceType::comfyui, "GET", "/", looks},
    {ServiceType::comfyui, "GET", "/prompt", looks},
    {ServiceType::comfyui, "GET", "/api/queue", looks},
    {ServiceType::comfyui, "GET", "/view?filename=a.png&type=output", looks},
    {ServiceType::comfyui, "GET", "/api/object_info/KSampler", looks},
    {ServiceType::comfyui, "GET", "/system_stats", looks},
    {ServiceType::comfyui, "GET", "/history/1", looks},
    {ServiceType::comfyui, "WEBSOCKET", "/ws?clientId=1", looks},
    {ServiceType::comfyui, "WEBSOCKET", "/api/ws?clientId=1", looks},
    {ServiceType::comfyui, "POST", "/interrupt", cancels},
    {ServiceType::comfyui, "POST", "/api/interrupt", cancels},
    {ServiceType::comfyui, "POST", "/queue", cancels},
    {ServiceType::comfyui, "POST", "/api/jobs/7/cancel", cancels},
    {ServiceType::comfyui, "POST", "/upload/image", manages_files},
    {ServiceType::comfyui, "POST", "/api/userdata/workflows%2Fa%20b.json", manages_files},
    {ServiceType::comfyui, "POST", "/free", steers_memory},
    {ServiceType::comfyui, "POST", "/api/free", steers_memory},

    {ServiceType::a1111, "POST", "/sdapi/v1/txt2img", computes},
    {ServiceType::a1111, "POST", "/sdapi/v1/img2img", computes},
    {ServiceType::a1111, "POST", "/sdapi/v1/extra-single-image", computes},
    {ServiceType::a1111, "POST", "/sdapi/v1/interrogate", computes},
    {ServiceType::a1111, "POST", "/sdapi/v1/options", computes},
    {ServiceType::a1111, "POST", "/queue/join", computes},
    {ServiceType::a1111, "WEBSOCKET", "/queue/join", computes},
    {ServiceType::a1111, "GET", "/", looks},
    {ServiceType::a1111, "GET", "/sdapi/v1/options", looks},
    {ServiceType::a1111, "GET", "/sdapi/v1/progress?skip_current_image=true", looks},
    {ServiceType::a1111, "GET", "/sdapi/v1/memory", looks},
    {ServiceType::a1111, "POST", "/internal/progress", looks},
    {ServiceType::a1111, "POST", "/sdapi/v1/interrupt", cancels},
    {ServiceType::a1111, "POST", "/sdapi/v1/skip", cancels},
    {ServiceType::a1111, "POST", "/sdapi/v1/refresh-checkpoints", manages_files},
    {ServiceType::a1111, "POST", "/sdapi/v1/unload-checkpoint", steers_memory},
    {ServiceType::a1111, "POST", "/sdapi/v1/reload-checkpoint", steers_memory},

    {ServiceType::tabbyapi, "POST", "/v1/chat/completions", computes},
    {ServiceType::tabbyapi, "POST", "/v1/model/embedding/load", computes},
    {ServiceType::tabbyapi, "POST", "/api/v1/generate", computes},
    {ServiceType::tabbyapi, "GET", "/v1/model", looks},
    {ServiceType::tabbyapi, "GET", "/health", looks},
    {ServiceType::tabbyapi, "POST", "/v1/token/encode", uses_loaded},
    {ServiceType::tabbyapi, "POST", "/v1/download", manages_files},
    {ServiceType::tabbyapi, "POST", "/v1/model/load", steers_memory},
    {ServiceType::tabbyapi, "POST", "/v1/model/unload", steers_memory},

    {ServiceType::lm_studio, "POST", "/api/v1/chat", computes},
    {ServiceType::lm_studio, "POST", "/api/v0/chat/completions", computes},
    {ServiceType::lm_studio, "GET", "/api/v1/models", looks},
    {ServiceType::lm_studio, "POST", "/api/v1/models/download", manages_files},
    {ServiceType::lm_studio, "POST", "/api/v1/models/load", steers_memory},
    {ServiceType::lm_studio, "POST", "/api/v1/models/unload", steers_memory},

    {ServiceType::localai, "POST", "/tts", computes},
    {ServiceType::localai, "POST", "/v1/images/generations", computes},
    {ServiceType::localai, "WEBSOCKET", "/v1/realtime?model=m", computes},
    {ServiceType::localai, "GET", "/readyz", looks},
    {ServiceType::localai, "GET", "/backend/monitor?model=m", looks},
    {ServiceType::localai, "POST", "/models/apply", manages_files},
    {ServiceType::localai, "POST", "/backend/load", steers_memory},
    {ServiceType::localai, "POST", "/backend/shutdown", steers_memory},

    {ServiceType::speaches, "POST", "/v1/audio/transcriptions", computes},
    {ServiceType::speaches, "WEBSOCKET", "/v1/realtime?model=m", computes},
    {ServiceType::speaches, "GET", "/api/ps", looks},
    {ServiceType::speaches, "DELETE", "/v1/models/Systran/tiny", manages_files},
    {ServiceType::speaches, "POST", "/api/ps/Systran/tiny", steers_memory},
    {ServiceType::speaches, "DELETE", "/api/ps/Systran/tiny", steers_memory},

    {ServiceType::whisper_cpp, "POST", "/inference", computes},
    {ServiceType::whisper_cpp, "POST", "/load", computes},
    {ServiceType::whisper_cpp, "GET", "/health", looks},

    {ServiceType::triton, "POST", "/v2/models/m/infer", computes},
    {ServiceType::triton, "POST", "/v2/models/m/versions/1/infer", computes},
    {ServiceType::triton, "POST", "/v2/models/m/generate_stream", computes},
    {ServiceType::triton, "GET", "/v2/models/m/ready", looks},
    {ServiceType::triton, "GET", "/v2/models/m/stats", looks},
    {ServiceType::triton, "POST", "/v2/repository/index", looks},
    {ServiceType::triton, "POST", "/v2/repository/models/m/load", steers_memory},
    {ServiceType::triton, "POST", "/v2/repository/models/m/unload", steers_memory},

    {ServiceType::text_generation_webui, "POST", "/v1/chat/completions", computes},
    {ServiceType::text_generation_webui, "POST", "/v1/internal/logits", computes},
    {ServiceType::text_generation_webui, "POST", "/v1/internal/token-count", uses_loaded},
    {ServiceType::text_generation_webui, "GET", "/v1/internal/model/info", looks},
    {ServiceType::text_generation_webui, "POST", "/v1/internal/stop-generation", cancels},
    {ServiceType::text_generation_webui, "POST", "/v1/internal/model/load", steers_memory},
    {ServiceType::text_generation_webui, "POST", "/v1/internal/model/unload", steers_memory},

    {ServiceType::koboldcpp, "POST", "/api/v1/generate", computes},
    {ServiceType::koboldcpp, "POST", "/api/extra/generate/stream", computes},
    {ServiceType::koboldcpp, "POST", "/sdapi/v1/txt2img", computes},
    {ServiceType::koboldcpp, "GET", "/api/extra/perf", looks},
    {ServiceType::koboldcpp, "POST", "/api/extra/generate/check", looks},
    {ServiceType::koboldcpp, "POST", "/api/extra/tokencount", uses_loaded},
    {ServiceType::koboldcpp, "POST", "/api/extra/abort", cancels},
    {ServiceType::koboldcpp, "POST", "/api/extra/abort?/api/v1/generate", computes},
    {ServiceType::koboldcpp, "POST", "/api/admin/reload_config", steers_memory},

    {ServiceType::infinity, "POST", "/embeddings", computes},
    {ServiceType::infinity, "POST", "/rerank", computes},
    {ServiceType::infinity, "GET", "/models", looks},

    {ServiceType::tei, "POST", "/embed", computes},
    {ServiceType::tei, "POST", "/predict", computes},
    {ServiceType::tei, "POST", "/tokenize", uses_loaded},
    {ServiceType::tei, "GET", "/info", looks},

    {ServiceType::invokeai, "POST", "/api/v1/queue/default/enqueue_batch", computes},
    {ServiceType::invokeai, "PUT", "/api/v1/queue/default/processor/resume", computes},
    {ServiceType::invokeai, "GET", "/", looks},
    {ServiceType::invokeai, "GET", "/api/v1/queue/default/status", looks},
    {ServiceType::invokeai, "WEBSOCKET", "/ws/socket.io/?EIO=4", looks},
    {ServiceType::invokeai, "POST", "/ws/socket.io/?EIO=4", looks},
    {ServiceType::invokeai, "PUT", "/api/v1/queue/default/cancel_by_batch_ids", cancels},
    {ServiceType::invokeai, "PUT", "/api/v1/queue/default/processor/pause", cancels},
    {ServiceType::invokeai, "PUT", "/api/v1/queue/default/clear", cancels},
    {ServiceType::invokeai, "POST", "/api/v1/images/upload", manages_files},
    {ServiceType::invokeai, "DELETE", "/api/v1/boards/b", manages_files},
    {ServiceType::invokeai, "POST", "/api/v2/models/install", manages_files},
    {ServiceType::invokeai, "POST", "/api/v2/models/empty_model_cache", steers_memory},

    {ServiceType::sd_server, "POST", "/v1/images/generations", computes},
    {ServiceType::sd_server, "POST", "/sdcpp/v1/img_gen", computes},
    {ServiceType::sd_server, "POST", "/sdapi/v1/txt2img", computes},
    {ServiceType::sd_server, "GET", "/sdcpp/v1/jobs/7", looks},
    {ServiceType::sd_server, "POST", "/sdcpp/v1/jobs/7/cancel", cancels},

    {ServiceType::generic, "POST", "/anything", computes},
    {ServiceType::generic, "post", "/anything", computes},
    {ServiceType::generic, "WEBSOCKET", "/ws", computes},
    {ServiceType::generic, "GET", "/anything", looks},
    {ServiceType::generic, "DELETE", "/jobs/7", looks},
};

TEST(RequestTable, KnowsTheRoutesOfEachKind) {
  for (const Expected& row : kExpected)
    EXPECT_EQ(to_string(meaning_of({.type = row.type}, row.method, row.target)), to_string(row.meaning))
        << config::service_name(row.type) << ' ' << row.method << ' ' << row.target;
}

TEST(RequestTable, HasARuleForEachKindThatSpeaksHttp) {
  for (std::size_t i = 1; i < config::service_names().size(); ++i) {
    const auto type = static_cast<ServiceType>(i);
    EXPECT_EQ(request_rules(type).empty(), type == ServiceType::wyoming) << config::service_name(type);
    if (type == ServiceType::wyoming) continue;
    EXPECT_EQ(meaning_of({.type = type}, "GET", "/"), looks) << config::service_name(type);
    EXPECT_EQ(meaning_of({.type = type}, "POST", "/v1/chat/completions"), computes);
  }
}

TEST(RequestTable, OptionsAndHeadAreNeverWork) {
  for (const Expected& row : kExpected) {
    EXPECT_EQ(meaning_of({.type = row.type}, "OPTIONS", row.target), looks) << row.target;
    const RequestMeaning head = meaning_of({.type = row.type}, "HEAD", row.target);
    EXPECT_TRUE(is_free(head) || head == refused_head) << row.target;
  }
  EXPECT_EQ(meaning_of({.type = ServiceType::generic}, "OPTIONS", "/v1/chat/completions"), looks);
}

// Whatever stands before, within or after the path of a request that computes, it computes.
TEST(RequestTable, NoSpellingMakesWorkFree) {
  const auto expect_work = [](const Expected& row, const std::string& target) {
    const RequestMeaning meaning = meaning_of({.type = row.type}, row.method, target);
    EXPECT_TRUE(meaning == computes || meaning == row.meaning)
        << config::service_name(row.type) << ' ' << row.method << ' ' << target << " passes as "
        << to_string(meaning);
  };
  for (const Expected& row : kExpected) {
    const bool is_trick = row.target.contains("?/");  // its path alone would be free
    if (is_free(row.meaning) || row.meaning == refused_head || is_trick) continue;
    const std::string target(row.target), path = target.substr(0, target.find('?'));
    expect_work(row, "/" + target);
    expect_work(row, path + "/");
    expect_work(row, path + "//");
    expect_work(row, path + "?free=/api/tags");
    expect_work(row, path + "#/api/tags");
    expect_work(row, path + ";/api/tags");
    expect_work(row, "/." + path);
    expect_work(row, path + "/.");
    expect_work(row, path + "%00/api/show");
    for (const Expected& other : kExpected) {
      if (other.type != row.type || !is_free(other.meaning)) continue;
      const std::string free(other.target.substr(0, other.target.find('?')));
      const auto slashes = std::ranges::count(free, '/');
      for (const std::string up : {"/..", "/%2e%2E", "/%252e%252e", "\\..", "%5c..", "%2f..", "//.."}) {
        std::string climbing = free;
        for (auto i = slashes; i > 0; --i) climbing += up;
        expect_work(row, climbing + path);
      }
    }
    std::string escaped = path;
    for (std::size_t at = 1; (at = escaped.find_first_of("aeiost", at)) != std::string::npos; at += 3) {
      const char digits[] = "0123456789abcdef";
      const auto c = static_cast<unsigned char>(escaped[at]);
      escaped.replace(at, 1, {'%', digits[c / 16], digits[c % 16]});
    }
    expect_work(row, escaped);
  }
}

TEST(RequestTable, FreeRequestsStayFreeInTheUsualSpellings) {
  const ServiceConfig comfyui{.type = ServiceType::comfyui};
  EXPECT_EQ(meaning_of(comfyui, "POST", "//interrupt/"), cancels);
  EXPECT_EQ(meaning_of(comfyui, "POST", "/api//interrupt"), cancels);
  EXPECT_EQ(meaning_of(comfyui, "POST", "/userdata/50%25.json"), manages_files);
  EXPECT_EQ(meaning_of(comfyui, "GET", "/view?filename=..%2f..%2fa"), looks);
}

TEST(RequestTable, ReadsTheModelInThePathOrInTheQuery) {
  const auto ai_model = [](ServiceType type, std::string_view method, std::string_view target) {
    return classify({.type = type}, method, target).ai_model;
  };
  EXPECT_EQ(ai_model(ServiceType::speaches, "DELETE", "/api/ps/Systran%2Ftiny"), "Systran/tiny");
  EXPECT_EQ(ai_model(ServiceType::speaches, "POST", "/api/ps/Systran/tiny"), "Systran/tiny");
  EXPECT_EQ(ai_model(ServiceType::triton, "POST", "/v2/repository/models/m/unload"), "m");
  EXPECT_EQ(ai_model(ServiceType::triton, "POST", "/v2/models/m/versions/1/infer"), "m");
  EXPECT_EQ(ai_model(ServiceType::ollama, "POST", "/api/chat"), "");
  EXPECT_EQ(query_parameter("/v1/realtime?x=1&model=a%20b", "model"), "a b");
  EXPECT_EQ(query_parameter("/slots?model=a/b&model=c", "model"), "a/b");
  EXPECT_EQ(query_parameter("/slots?models=a", "model"), "");
}

TEST(RequestTable, ALookAtARouterNeverLoads) {
  const ServiceConfig router{.type = ServiceType::llama_server, .router = true};
  EXPECT_EQ(target_of_look(router, "GET", "/props?model=m"), "/props?autoload=false&model=m");
  EXPECT_EQ(target_of_look(router, "GET", "/slots?model=m&autoload=true"),
            "/slots?autoload=false&model=m&autoload=true");
  EXPECT_EQ(target_of_look(router, "GET", "/props?%6dodel=m"), "/props?autoload=false&%6dodel=m");
  EXPECT_EQ(target_of_look(router, "GET", "/props"), "/props");
  EXPECT_EQ(target_of_look(router, "POST", "/tokenize"), "/tokenize?autoload=false");  // in its body
  const ServiceConfig single{.type = ServiceType::llama_server};
  EXPECT_EQ(target_of_look(single, "GET", "/props?model=m"), "/props?model=m");
}

TEST(RequestTable, FreePathsAndTurnForExtendTheTable) {
  const ServiceConfig ollama{
      .type = ServiceType::ollama, .free_paths = {"/mine/*"}, .turn_for = {"GET /heavy*", "/mine/work"}};
  EXPECT_EQ(meaning_of(ollama, "POST", "/mine/x"), looks);
  EXPECT_EQ(meaning_of(ollama, "POST", "/mine/work"), computes);
  EXPECT_EQ(meaning_of(ollama, "POST", "/mine/../api/push"), computes);
  EXPECT_EQ(meaning_of(ollama, "GET", "/heavy/1"), computes);
  EXPECT_EQ(meaning_of(ollama, "HEAD", "/heavy/1"), refused_head);
  EXPECT_EQ(meaning_of(ollama, "GET", "/api/tags"), looks);
  EXPECT_EQ(meaning_of(ollama, "POST", "/api/pull"), manages_files);
}

TEST(RequestTable, TurnForIsAllThatComputesInAGenericService) {
  const ServiceConfig service{.type = ServiceType::generic,
                              .free_paths = {"/history/*", "/ws"},
                              .turn_for = {"POST /render*", "GET /tts/"}};
  EXPECT_EQ(meaning_of(service, "POST", "/render/1"), computes);
  EXPECT_EQ(meaning_of(service, "GET", "/tts"), computes);
  EXPECT_EQ(meaning_of(service, "WEBSOCKET", "/tts"), computes);
  EXPECT_EQ(meaning_of(service, "POST", "/other"), looks);
  const ServiceConfig all_posts{
      .type = ServiceType::generic, .free_paths = {"/history/*", "/ws"}, .turn_for = {"POST"}};
  EXPECT_EQ(meaning_of(all_posts, "POST", "/history/1"), looks);
  EXPECT_EQ(meaning_of(all_posts, "POST", "/history/../prompt"), computes);
  EXPECT_EQ(meaning_of(all_posts, "POST", "/prompt"), computes);
  EXPECT_EQ(meaning_of(all_posts, "WEBSOCKET", "/ws"), looks);
}

TEST(RequestTable, TheRequestsThatLoadAndUnloadAGenericServiceSteerIt) {
  const ServiceConfig service{.type = ServiceType::generic,
                              .load = config::RequestConfig{.path = "/load"},
                              .unload = config::RequestConfig{.path = "/unload?all=1"}};
  EXPECT_EQ(classify(service, "POST", "/load").steering, Steering::generic_load);
  EXPECT_EQ(classify(service, "POST", "/unload").steering, Steering::generic_unload);
  EXPECT_EQ(classify(service, "GET", "/unload").meaning, looks);
  const ServiceConfig one_path{.type = ServiceType::generic,
                               .load = config::RequestConfig{.path = "/memory", .body = "1"},
                               .unload = config::RequestConfig{.path = "/memory", .body = "0"}};
  EXPECT_EQ(classify(one_path, "POST", "/memory").meaning, computes);
}

TEST(RequestTable, OnlyServicesThatLoadLaterStartForALook) {
  EXPECT_TRUE(starts_without_memory({.type = ServiceType::ollama}));
  EXPECT_TRUE(starts_without_memory({.type = ServiceType::llama_server, .router = true}));
  EXPECT_FALSE(starts_without_memory({.type = ServiceType::llama_server}));
  EXPECT_FALSE(starts_without_memory({.type = ServiceType::comfyui}));
  EXPECT_FALSE(starts_without_memory({.type = ServiceType::generic}));
}

// "`POST /a`, `DELETE /b`" for the rules with this meaning; the general ones at the end of a table are left
// out.
std::string rules_text(ServiceType type, RequestMeaning meaning) {
  std::string text;
  for (const RequestRule& rule : request_rules(type)) {
    if (rule.meaning != meaning || (rule.path == "*" && rule.methods.contains("GET"))) continue;
    std::string methods(rule.methods);
    for (std::size_t at = 0; (at = methods.find('|', at)) != std::string::npos; at += 1) methods[at] = ',';
    text += (text.empty() ? "`" : ", `") + methods + " " + std::string(rule.path) + "`";
  }
  return text;
}

TEST(RequestTable, StandsInTheDocuments) {
  std::ifstream file(std::string(MGPU_DOCS) + "/services.md");
  const std::string page{std::istreambuf_iterator<char>(file), {}};
  for (std::size_t i = 1; i < config::service_names().size(); ++i) {
    const auto type = static_cast<ServiceType>(i);
    if (type == ServiceType::wyoming || type == ServiceType::generic) continue;
    std::string row = "| `" + std::string(config::service_name(type)) + "` |";
    for (const RequestMeaning meaning :
         {steers_memory, cancels, manages_files, looks, uses_loaded, looks_if_warm})
      row += " " + rules_text(type, meaning) + " |";
    for (std::size_t at = 0; (at = row.find("|  |", at)) != std::string::npos;) row.replace(at, 4, "| |");
    EXPECT_NE(page.find("\n" + row + "\n"), std::string::npos) << "docs/services.md lacks\n" << row;
  }
}

}  // namespace
}  // namespace mgpu::service
