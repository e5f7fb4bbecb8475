// The requests that steer memory (RequestMeaning::steers_memory): what each asks for, and how its application
// answers it. The daemon carries them out itself, as its own loads and unloads; the client can't tell.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/result.h"
#include "base/time.h"
#include "config/config.h"
#include "service/request_table.h"

namespace mgpu::service {

struct MemoryRequest {
  enum class Action : std::uint8_t { load, unload, none };  // none: nothing changes, it is only answered
  Action action = Action::none;
  Steering steering = Steering::none;
  std::string ai_model{};                // as the client names it; empty: the service's only one
  std::optional<Duration> keep_alive{};  // negative: for ever
  std::string detail{};                  // part of the answer: vLLM's sleep level, LM Studio's instance
  friend bool operator==(const MemoryRequest&, const MemoryRequest&) = default;
};

// The members of a JSON body that are read; of a longer value only that it is not empty.
inline constexpr std::array<std::string_view, 13> kMemoryRequestFields{
    "model",  "name",        "keep_alive", "prompt",   "messages",      "input",      "images",
    "suffix", "instance_id", "model_name", "filename", "unload_models", "free_memory"};

// `fields`: of kMemoryRequestFields those that the body has; an object. None: the request computes, since it
// has a prompt, or wants an AI model that is not the consumer's. Error: invalid_request.
Result<std::optional<MemoryRequest>> read_memory_request(const config::ServiceConfig& service,
                                                         const RequestMatch& match, std::string_view target,
                                                         const nlohmann::json& fields);

// Ollama's keep_alive: seconds as a number, or a text such as "5m", "-1s"; negative: for ever. None: absent
// or null. Error: invalid_request.
Result<std::optional<Duration>> read_keep_alive(const nlohmann::json& value);

// Whether the application answers an unload before it has happened, while it still works. The others answer
// when the memory is free.
bool answers_unload_at_once(Steering steering);

struct MemoryAnswer {
  int status = 200;
  std::string content_type = "application/json";
  std::string body{};
  friend bool operator==(const MemoryAnswer&, const MemoryAnswer&) = default;
};

struct MemoryOutcome {
  bool was_so_before = false;  // it was loaded already; or was not loaded
  Duration took{};
  std::string answered_at{};  // RFC 3339
};

// The application's answer to a request that succeeded.
MemoryAnswer memory_answer(const MemoryRequest& request, const MemoryOutcome& outcome);

}  // namespace mgpu::service
