#include "service/memory_request.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace mgpu::service {
namespace {

using nlohmann::json;
using Action = MemoryRequest::Action;

// --- reading ---

const json& member(const json& fields, std::string_view name) {
  static const json kAbsent;
  const auto found = fields.find(name);
  return found == fields.end() ? kAbsent : *found;
}

std::string text_member(const json& fields, std::string_view name) {
  const json& value = member(fields, name);
  return value.is_string() ? value.get<std::string>() : std::string{};
}

// null, "", [] and {} are empty, as if the member were missing.
bool has_content(const json& fields, std::string_view name) {
  const json& value = member(fields, name);
  if (value.is_string()) return !value.get_ref<const std::string&>().empty();
  return !value.empty();
}

// A request without input loads, or unloads if it is to be kept for no time.
Result<std::optional<MemoryRequest>> read_ollama(const json& fields, MemoryRequest request,
                                                 std::initializer_list<std::string_view> inputs) {
  for (const std::string_view input : inputs)
    if (has_content(fields, input)) return std::nullopt;
  request.ai_model = text_member(fields, "model");
  if (request.ai_model.empty()) request.ai_model = text_member(fields, "name");
  if (request.ai_model.empty()) return std::nullopt;  // its own error is the best answer
  const auto keep_alive = read_keep_alive(member(fields, "keep_alive"));
  if (!keep_alive) return std::unexpected(keep_alive.error());
  request.keep_alive = *keep_alive;
  request.action = *keep_alive == Duration{0} ? Action::unload : Action::load;
  return request;
}

// Of a service that holds one of several AI models: a load of another one than the consumer's is work in it.
std::optional<MemoryRequest> load_of_slot(const config::ServiceConfig& service, const std::string& wanted,
                                          MemoryRequest request) {
  if (service.ai_model.empty() || wanted != service.ai_model) return std::nullopt;
  request.action = Action::load;
  request.detail = wanted;
  return request;
}

std::optional<MemoryRequest> with_action(MemoryRequest request, Action action) {
  request.action = action;
  return request;
}

// An instance of LM Studio: "key", and "key:2" for the second of the same AI model.
std::string lm_studio_key(std::string instance) {
  const std::size_t colon = instance.rfind(':');
  const bool is_number = colon != instance.npos && colon + 1 < instance.size() &&
                         instance.find_first_not_of("0123456789", colon + 1) == instance.npos;
  if (is_number) instance.resize(colon);
  return instance;
}

Error missing_member(std::string_view name) {
  return {ErrorCode::invalid_request, fmt::format("the body names no AI model: \"{}\" is missing", name)};
}

Result<std::optional<MemoryRequest>> read_named(const json& fields, std::string_view name, Action action,
                                                MemoryRequest request) {
  request.ai_model = text_member(fields, name);
  if (request.ai_model.empty()) return std::unexpected(missing_member(name));
  request.action = action;
  return request;
}

Result<std::optional<MemoryRequest>> read_vllm_sleep(std::string_view target, MemoryRequest request) {
  request.detail = query_parameter(target, "level");
  if (request.detail.empty()) request.detail = "1";
  if (request.detail != "1" && request.detail != "2")
    return fail(ErrorCode::not_supported,
                "mgpu does not pause a service: sleep levels 1 and 2 free its memory, level " +
                    request.detail.substr(0, 20) + " frees none");
  request.action = Action::unload;
  return request;
}

// --- answering ---

struct Words {
  Steering steering;
  int status;
  std::string_view body;  // {model}, {detail}: JSON strings; {level}, {seconds}, {at}: as they are
  int status_before = 0;  // and for what was so before; 0: the same
  std::string_view body_before{};
  std::string_view content_type = "application/json";
};

constexpr Words kWords[] = {
    {Steering::llama_router_load, 200, R"({"success":true})", 400,
     R"({"error":{"code":400,"message":"model is already running","type":"invalid_request_error"}})"},
    {Steering::llama_router_unload, 200, R"({"success":true})", 400,
     R"({"error":{"code":400,"message":"model is not running","type":"invalid_request_error"}})"},
    {Steering::vllm_wake_up, 200, R"({"status":"awake"})"},
    {Steering::vllm_sleep, 200, R"({"status":"sleeping","level":{level}})"},
    {Steering::sglang_resume, 200, "null"},
    {Steering::sglang_release, 200, "null"},
    {Steering::comfyui_free, 200, ""},
    {Steering::a1111_reload, 200, "{}"},
    {Steering::a1111_unload, 200, "{}"},
    {Steering::tabbyapi_load, 200,
     "data: {\"model_type\":\"model\",\"module\":1,\"modules\":1,\"status\":\"finished\"}\r\n\r\n", 0, "",
     "text/event-stream"},
    {Steering::tabbyapi_unload, 200, "null", 503, R"({"detail":"No models are currently loaded."})"},
    {Steering::lm_studio_load, 200,
     R"({"type":"llm","instance_id":{model},"load_time_seconds":{seconds},"status":"loaded"})"},
    {Steering::lm_studio_unload, 200, R"({"instance_id":{detail}})"},
    {Steering::localai_load, 200, R"({"loaded":[{model}],"message":"loaded"})"},
    {Steering::localai_shutdown, 200, "{}", 404,
     R"({"error":{"code":404,"message":"model not loaded","type":""}})"},
    {Steering::speaches_load, 201, "", 409, R"({"detail":"Model is already loaded"})"},
    {Steering::speaches_unload, 200, "", 404, R"({"detail":"Model is not loaded"})"},
    {Steering::triton_load, 200, ""},
    {Steering::triton_unload, 200, ""},
    {Steering::webui_load, 200, R"("OK")"},
    {Steering::webui_unload, 200, R"("OK")"},
    {Steering::koboldcpp_reload, 200, R"({"success":true})"},
    {Steering::invokeai_empty_cache, 200, "null"},
    {Steering::generic_load, 200, "{}"},
    {Steering::generic_unload, 200, "{}"},
};

std::string filled(std::string_view text, const MemoryRequest& request, const MemoryOutcome& outcome) {
  const std::pair<std::string_view, std::string> values[] = {
      {"{model}", json(request.ai_model).dump(-1, ' ', false, json::error_handler_t::replace)},
      {"{detail}", json(request.detail).dump(-1, ' ', false, json::error_handler_t::replace)},
      {"{level}", request.detail},
      {"{seconds}", fmt::format("{:.3f}", to_seconds(outcome.took))}};
  std::string done(text);
  for (const auto& [name, value] : values)
    if (const std::size_t at = done.find(name); at != done.npos) done.replace(at, name.size(), value);
  return done;
}

MemoryAnswer ollama_answer(const MemoryRequest& request, const MemoryOutcome& outcome) {
  json body;
  if (request.steering == Steering::ollama_embed) {
    body = {{"model", request.ai_model}, {"embeddings", json::array()}};
  } else if (request.steering == Steering::ollama_embeddings) {
    body = {{"embedding", json::array()}};
  } else {
    body = {{"model", request.ai_model},
            {"created_at", outcome.answered_at},
            {"done", true},
            {"done_reason", request.action == Action::unload ? "unload" : "load"}};
    if (request.steering == Steering::ollama_chat)
      body["message"] = {{"role", "assistant"}, {"content", ""}};
    else
      body["response"] = "";
  }
  return {.content_type = "application/json; charset=utf-8",
          .body = body.dump(-1, ' ', false, json::error_handler_t::replace)};
}

bool is_ollama(Steering steering) {
  return steering >= Steering::ollama_generate && steering <= Steering::ollama_embeddings;
}

}  // namespace

Result<std::optional<MemoryRequest>> read_memory_request(const config::ServiceConfig& service,
                                                         const RequestMatch& match, std::string_view target,
                                                         const json& fields) {
  MemoryRequest request{.steering = match.steering};
  switch (match.steering) {
    case Steering::none:
      return std::nullopt;
    case Steering::ollama_generate:
      return read_ollama(fields, std::move(request), {"prompt", "images", "suffix"});
    case Steering::ollama_chat:
      return read_ollama(fields, std::move(request), {"messages"});
    case Steering::ollama_embed:
      return read_ollama(fields, std::move(request), {"input"});
    case Steering::ollama_embeddings:
      return read_ollama(fields, std::move(request), {"prompt"});
    case Steering::llama_router_load:
      if (!service.router) return with_action(std::move(request), Action::load);
      return read_named(fields, "model", Action::load, std::move(request));
    case Steering::llama_router_unload:
      if (!service.router) return with_action(std::move(request), Action::unload);
      return read_named(fields, "model", Action::unload, std::move(request));
    case Steering::localai_load:
    case Steering::lm_studio_load:
      return read_named(fields, "model", Action::load, std::move(request));
    case Steering::localai_shutdown:
      return read_named(fields, "model", Action::unload, std::move(request));
    case Steering::lm_studio_unload: {
      request.detail = text_member(fields, "instance_id");
      if (request.detail.empty()) return std::unexpected(missing_member("instance_id"));
      request.ai_model = lm_studio_key(request.detail);
      return with_action(std::move(request), Action::unload);
    }
    case Steering::speaches_load:
    case Steering::triton_load:
      request.ai_model = match.ai_model;
      return with_action(std::move(request), Action::load);
    case Steering::speaches_unload:
    case Steering::triton_unload:
      request.ai_model = match.ai_model;
      return with_action(std::move(request), Action::unload);
    case Steering::vllm_sleep:
      return read_vllm_sleep(target, std::move(request));
    case Steering::comfyui_free: {
      const bool unloads = member(fields, "unload_models") == true || member(fields, "free_memory") == true;
      return with_action(std::move(request), unloads ? Action::unload : Action::none);
    }
    case Steering::tabbyapi_load:
    case Steering::webui_load:
      return load_of_slot(service, text_member(fields, "model_name"), std::move(request));
    case Steering::koboldcpp_reload: {
      const std::string file = text_member(fields, "filename");
      if (file == "unload_model") return with_action(std::move(request), Action::unload);
      return load_of_slot(service, file, std::move(request));
    }
    case Steering::vllm_wake_up:
    case Steering::sglang_resume:
    case Steering::a1111_reload:
    case Steering::generic_load:
      return with_action(std::move(request), Action::load);
    case Steering::sglang_release:
    case Steering::a1111_unload:
    case Steering::tabbyapi_unload:
    case Steering::webui_unload:
    case Steering::invokeai_empty_cache:
    case Steering::generic_unload:
      return with_action(std::move(request), Action::unload);
  }
  return std::nullopt;
}

Result<std::optional<Duration>> read_keep_alive(const json& value) {
  constexpr Duration kForEver{-1};
  if (value.is_null()) return std::nullopt;
  if (value.is_number()) {
    const double seconds = value.get<double>();
    if (seconds < 0) return kForEver;
    return Duration{std::llround(std::min(seconds, to_seconds(kLongestDuration)) * 1e6)};
  }
  if (value.is_string()) {
    std::string_view text = value.get_ref<const std::string&>();
    const bool is_negative = text.starts_with('-');
    if (is_negative || text.starts_with('+')) text.remove_prefix(1);
    const Result<Duration> duration = parse_duration(text);
    // A bare number of seconds, which some clients send as a text.
    const bool is_number = !text.empty() && text.find_first_not_of("0123456789") == text.npos;
    if (duration || is_number) {
      const Duration positive =
          duration.value_or(is_number && text.size() < 9 ? Duration{std::stoll(std::string(text)) * 1'000'000}
                                                         : kLongestDuration);
      return is_negative && positive > Duration{0} ? kForEver : positive;
    }
  }
  return fail(ErrorCode::invalid_request,
              "keep_alive is neither a number of seconds nor a duration such as \"5m\": " +
                  value.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 100));
}

bool answers_unload_at_once(Steering steering) {
  return is_ollama(steering) || steering == Steering::llama_router_unload ||
         steering == Steering::comfyui_free;
}

MemoryAnswer memory_answer(const MemoryRequest& request, const MemoryOutcome& outcome) {
  if (is_ollama(request.steering)) return ollama_answer(request, outcome);
  const auto* words = std::ranges::find(kWords, request.steering, &Words::steering);
  if (words == std::end(kWords)) return {};
  const bool is_before = outcome.was_so_before && words->status_before != 0;
  return {.status = is_before ? words->status_before : words->status,
          .content_type = std::string(words->content_type),
          .body = filled(is_before ? words->body_before : words->body, request, outcome)};
}

}  // namespace mgpu::service
