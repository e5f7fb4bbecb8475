// How Ollama keeps its AI models: a manifest under the name of each, which lists blobs by what they are for.
// Texts in, values out.
//
//   manifests/registry.ollama.ai/library/llama3.2/3b   {"layers": [{"mediaType": ..., "digest":
//   "sha256:..."}]} blobs/sha256-...                                   one of them is a GGUF file, another
//   the parameters as JSON
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

#include "estimate/inference_options.h"

namespace mgpu::estimate {

inline constexpr std::size_t kMaxManifest = 1U << 20;

// Below the folder of its AI models. Error: invalid_request (no name that Ollama would take).
Result<std::string> manifest_path(std::string_view ai_model);

// Blobs, each below the same folder.
struct OllamaBlobs {
  std::vector<std::string> weights{};  // GGUF files: the AI model first, then what is loaded with it
  std::string parameters{};            // empty: it has none
};

// Error: invalid_request (no manifest, or one without weights).
Result<OllamaBlobs> parse_manifest(std::string_view json);

// What the server was told, as texts of its environment; empty: nothing.
struct OllamaSettings {
  std::string context{};     // OLLAMA_CONTEXT_LENGTH
  std::string parallel{};    // OLLAMA_NUM_PARALLEL
  std::string cache_type{};  // OLLAMA_KV_CACHE_TYPE
  Bytes device_memory{};     // of all devices together: where nobody says a context, it follows from this
};

// With the parameters of an AI model (a JSON object, or nothing), which come before the server's settings.
InferenceOptions ollama_inference_options(std::string_view parameters, const OllamaSettings& settings);

}  // namespace mgpu::estimate
