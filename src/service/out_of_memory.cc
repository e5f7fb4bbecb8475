#include "service/out_of_memory.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>

#include "config/services.h"

namespace mgpu::service {
namespace {

// Ollama's own list of phrases, and those of torch and llama.cpp. A phrase of only one kind of service stands
// in that service's row of services.inc.
constexpr std::array<std::string_view, 11> kOutOfMemoryPhrases{
    "out of memory",     "out of device memory",         "cudamalloc failed",
    "hipmalloc failed",  "failed to allocate",           "allocation failed",
    "not enough memory", "insufficient memory",          "outofmemoryerror",
    "erroroutofmemory",  "vk_error_out_of_device_memory"};

}  // namespace

bool says_out_of_memory(config::ServiceType type, int status, std::string_view body) {
  return status >= config::service_traits(type).out_of_memory_min_status &&
         log_says_out_of_memory(type, body);
}

bool log_says_out_of_memory(config::ServiceType type, std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto appears = [&](std::string_view phrase) { return lower.find(phrase) != lower.npos; };
  return std::ranges::any_of(kOutOfMemoryPhrases, appears) ||
         std::ranges::any_of(config::service_traits(type).out_of_memory_phrases, appears);
}

}  // namespace mgpu::service
