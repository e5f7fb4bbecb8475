// Parses Ollama's storage: a manifest for each AI model lists blobs by their media type. Pure.
//
//   manifests/registry.ollama.ai/library/llama3.2/3b
//       {"layers": [{"mediaType": ..., "digest": "sha256:..."}]}
//   blobs/sha256-...
//       one of them is a GGUF file, another the parameters as JSON
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

#include "estimate/inference_options.h"

namespace mgpu::estimate {

inline constexpr std::size_t kMaxManifest = 1U << 20;

// The manifest's path relative to Ollama's folder. Error: invalid_request (not a valid Ollama name).
Result<std::string> manifest_path(std::string_view ai_model);

// Paths of blobs, relative to the same folder.
struct OllamaBlobs {
  std::vector<std::string> weights{};  // GGUF files: the AI model first, then projectors and adapters
  std::string parameters{};            // empty: none
};

// Error: invalid_request (not a manifest, or one without weights).
Result<OllamaBlobs> parse_manifest(std::string_view json);

// What a manifest tells for a listing.
struct OllamaManifest {
  std::string details{};  // path of the blob that parse_details reads; empty: none
  Bytes size{};           // of all blobs
  std::string weights{};  // digest of the file that is loaded; empty: none, it is computed elsewhere
};

// Error: invalid_request (not a manifest).
Result<OllamaManifest> summarize_manifest(std::string_view json);

// The inverse of manifest_path, as Ollama shows it: "registry.ollama.ai/library/llama3.2/3b" (relative to the
// folder `manifests`) is "llama3.2:3b". Empty: not the path of a manifest.
std::string name_of_manifest(std::string_view path);

// As Ollama shows it. Empty fields: unknown.
struct OllamaDetails {
  std::string format{};
  std::string family{};
  std::vector<std::string> families{};
  std::string parameter_size{};
  std::string quantization{};
};
OllamaDetails parse_details(std::string_view json);

// The server's settings, as the texts of its environment variables; empty: unset.
struct OllamaSettings {
  std::string context{};     // OLLAMA_CONTEXT_LENGTH
  std::string parallel{};    // OLLAMA_NUM_PARALLEL
  std::string cache_type{};  // OLLAMA_KV_CACHE_TYPE
  Bytes device_memory{};     // of all devices; determines the default context
};

// `parameters`: the parameters of an AI model (a JSON object or empty); they override the server's settings.
InferenceOptions ollama_inference_options(std::string_view parameters, const OllamaSettings& settings);

}  // namespace mgpu::estimate
