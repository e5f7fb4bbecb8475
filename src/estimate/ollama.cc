#include "estimate/ollama.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace mgpu::estimate {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxName = 350;
constexpr std::string_view kWeightsType = "application/vnd.ollama.image.model";
constexpr std::string_view kDefaultRegistry = "registry.ollama.ai";
constexpr std::string_view kDefaultNamespace = "library";
constexpr std::size_t kDigits = 64;

// A part of a name becomes a path component, so it must not contain separators or begin with a dot.
bool is_name_part(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:";
  return !text.empty() && text.front() != '.' && text.find_first_not_of(kLetters) == std::string_view::npos;
}

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (std::size_t end = 0; (end = text.find(separator)) != std::string_view::npos;
       text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

std::string string_field(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// "sha256:6e9f..." -> "blobs/sha256-6e9f..."; empty if the digest is invalid.
std::string blob_path(const Json& layer) {
  constexpr std::string_view kDigestPrefix = "sha256:";
  const std::string digest = string_field(layer, "digest");
  if (!digest.starts_with(kDigestPrefix)) return {};
  const std::string digits = digest.substr(kDigestPrefix.size());
  const bool hexadecimal = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  return hexadecimal && digits.size() == kDigits ? "blobs/sha256-" + digits : "";
}

// Ollama's default context depends on the memory of all devices; its thresholds are slightly below 48 and 24
// GiB.
std::uint64_t default_context(Bytes device_memory) {
  if (device_memory >= kGiB * 47) return 262144;
  if (device_memory >= kGiB * 23) return 32768;
  return 4096;
}

std::optional<std::uint64_t> number_parameter(const Json& parameters, const char* name) {
  const auto found = parameters.is_object() ? parameters.find(name) : parameters.end();
  if (found == parameters.end() || !found->is_number_unsigned()) return std::nullopt;
  return parse_number(found->dump());
}

}  // namespace

Result<std::string> manifest_path(std::string_view ai_model) {
  std::vector<std::string_view> parts = split(ai_model, '/');
  std::string_view& last = parts.back();
  const auto colon = last.find(':');
  const std::string_view tag = colon == std::string_view::npos ? "latest" : last.substr(colon + 1);
  last = last.substr(0, colon);
  if (parts.size() < 2) parts.insert(parts.begin(), kDefaultNamespace);
  if (parts.size() < 3) parts.insert(parts.begin(), kDefaultRegistry);
  parts.push_back(tag);
  constexpr std::size_t kParts = 4;  // registry, namespace, AI model, tag
  if (parts.size() != kParts || ai_model.size() > kMaxName || !std::ranges::all_of(parts, is_name_part))
    return fail(ErrorCode::invalid_request,
                "\"" + std::string(ai_model) +
                    "\" is not a valid Ollama name: write [[REGISTRY/]NAMESPACE/]NAME[:TAG]");
  std::string path = "manifests";
  for (const std::string_view part : parts) path.append("/").append(part);
  return path;
}

Result<OllamaBlobs> parse_manifest(std::string_view json) {
  const Json manifest = Json::parse(json, nullptr, false);
  const Json layers = manifest.is_object() ? manifest.value("layers", Json()) : Json();
  OllamaBlobs blobs;
  std::vector<std::string> adapters;  // projectors (vision) and LoRA adapters
  for (const Json& layer : layers) {
    if (!layer.is_object()) continue;
    const std::string path = blob_path(layer);
    const std::string type = string_field(layer, "mediaType");
    if (path.empty()) continue;
    if (type == kWeightsType) blobs.weights.push_back(path);
    if (type == "application/vnd.ollama.image.projector" || type == "application/vnd.ollama.image.adapter")
      adapters.push_back(path);
    if (type == "application/vnd.ollama.image.params") blobs.parameters = path;
  }
  if (blobs.weights.empty()) return fail(ErrorCode::invalid_request, "the manifest lists no weights");
  blobs.weights.insert(blobs.weights.end(), adapters.begin(), adapters.end());
  return blobs;
}

Result<OllamaManifest> summarize_manifest(std::string_view json) {
  const Json manifest = Json::parse(json, nullptr, false);
  if (!manifest.is_object() || !manifest.contains("layers"))
    return fail(ErrorCode::invalid_request, "not a manifest: it has no layers");
  OllamaManifest summary;
  std::vector<Json> blobs{manifest.value("config", Json())};
  for (const Json& layer : manifest["layers"]) blobs.push_back(layer);
  summary.details = blob_path(blobs.front());
  for (const Json& blob : blobs) {
    if (!blob.is_object()) continue;
    const auto size = blob.find("size");
    if (size != blob.end() && size->is_number_unsigned()) summary.size += Bytes{size->get<std::int64_t>()};
    // Ollama loads the last one, and knows what it has loaded by this file.
    if (string_field(blob, "mediaType") == kWeightsType) summary.weights = string_field(blob, "digest");
  }
  return summary;
}

std::string name_of_manifest(std::string_view path) {
  const std::vector<std::string_view> parts = split(path, '/');
  constexpr std::size_t kParts = 4;
  if (parts.size() != kParts || !std::ranges::all_of(parts, is_name_part)) return {};
  std::string name;
  if (parts[0] != kDefaultRegistry) name.append(parts[0]).append("/");
  if (!name.empty() || parts[1] != kDefaultNamespace) name.append(parts[1]).append("/");
  return name.append(parts[2]).append(":").append(parts[3]);
}

OllamaDetails parse_details(std::string_view json) {
  const Json config = Json::parse(json, nullptr, false);
  if (!config.is_object()) return {};
  OllamaDetails details{.format = string_field(config, "model_format"),
                        .family = string_field(config, "model_family"),
                        .parameter_size = string_field(config, "model_type"),
                        .quantization = string_field(config, "file_type")};
  const Json families = config.value("model_families", Json());
  for (const Json& family : families)
    if (family.is_string()) details.families.push_back(family.get<std::string>());
  return details;
}

InferenceOptions ollama_inference_options(std::string_view parameters, const OllamaSettings& settings) {
  const Json own = Json::parse(parameters, nullptr, false);
  InferenceOptions options{.context_per_slot = true};
  options.context = number_parameter(own, "num_ctx");
  if (!options.context) options.context = parse_number(settings.context);
  if (options.context.value_or(0) == 0) options.context = default_context(settings.device_memory);
  options.gpu_layers = number_parameter(own, "num_gpu");
  options.batch = number_parameter(own, "num_batch").value_or(options.batch);
  options.slots = std::max<std::uint64_t>(parse_number(settings.parallel).value_or(1), 1);
  options.key_bytes = options.value_bytes = cache_type_bytes(settings.cache_type);
  return options;
}

}  // namespace mgpu::estimate
