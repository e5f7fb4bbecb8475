#include "estimate/ollama.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace mgpu::estimate {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxName = 350;
constexpr std::size_t kDigits = 64;

// A part of a name is a folder or a file: it must lead nowhere else.
bool is_part(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-:";
  return !text.empty() && text.front() != '.' && text.find_first_not_of(kLetters) == std::string_view::npos;
}

std::vector<std::string_view> cut(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  for (std::size_t end = 0; (end = text.find(at)) != std::string_view::npos; text.remove_prefix(end + 1))
    parts.push_back(text.substr(0, end));
  parts.push_back(text);
  return parts;
}

std::string text_in(const Json& object, const char* name) {
  const auto found = object.find(name);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

// "sha256:6e9f..." -> "blobs/sha256-6e9f..."; empty: it is none.
std::string blob(const Json& layer) {
  constexpr std::string_view kKind = "sha256:";
  const std::string digest = text_in(layer, "digest");
  if (!digest.starts_with(kKind)) return {};
  const std::string digits = digest.substr(kKind.size());
  const bool hexadecimal = digits.find_first_not_of("0123456789abcdef") == std::string::npos;
  return hexadecimal && digits.size() == kDigits ? "blobs/sha256-" + digits : "";
}

// A context that was not asked for follows from the memory of all devices, a little less than 48 and 24 GiB.
std::uint64_t usual_context(Bytes device_memory) {
  if (device_memory >= kGiB * 47) return 262144;
  if (device_memory >= kGiB * 23) return 32768;
  return 4096;
}

std::optional<std::uint64_t> parameter(const Json& parameters, const char* name) {
  const auto found = parameters.is_object() ? parameters.find(name) : parameters.end();
  if (found == parameters.end() || !found->is_number_unsigned()) return std::nullopt;
  return number_in(found->dump());
}

}  // namespace

Result<std::string> manifest_of(std::string_view ai_model) {
  std::vector<std::string_view> parts = cut(ai_model, '/');
  std::string_view& last = parts.back();
  const auto colon = last.find(':');
  const std::string_view tag = colon == std::string_view::npos ? "latest" : last.substr(colon + 1);
  last = last.substr(0, colon);
  if (parts.size() < 2) parts.insert(parts.begin(), "library");
  if (parts.size() < 3) parts.insert(parts.begin(), "registry.ollama.ai");
  parts.push_back(tag);
  constexpr std::size_t kParts = 4;  // registry, whose it is, what it is, tag
  if (parts.size() != kParts || ai_model.size() > kMaxName || !std::ranges::all_of(parts, is_part))
    return fail(ErrorCode::invalid_request,
                "\"" + std::string(ai_model) + "\" is no name of an AI model of Ollama");
  std::string path = "manifests";
  for (const std::string_view part : parts) path.append("/").append(part);
  return path;
}

Result<OllamaParts> parse_manifest(std::string_view json) {
  const Json manifest = Json::parse(json, nullptr, false);
  const Json layers = manifest.is_object() ? manifest.value("layers", Json()) : Json();
  OllamaParts parts;
  std::vector<std::string> besides;  // looks, and learned additions
  for (const Json& layer : layers) {
    if (!layer.is_object()) continue;
    const std::string path = blob(layer);
    const std::string type = text_in(layer, "mediaType");
    if (path.empty()) continue;
    if (type == "application/vnd.ollama.image.model") parts.weights.push_back(path);
    if (type == "application/vnd.ollama.image.projector" || type == "application/vnd.ollama.image.adapter")
      besides.push_back(path);
    if (type == "application/vnd.ollama.image.params") parts.parameters = path;
  }
  if (parts.weights.empty()) return fail(ErrorCode::invalid_request, "it names no weights");
  parts.weights.insert(parts.weights.end(), besides.begin(), besides.end());
  return parts;
}

Asked asked_of_ollama(std::string_view parameters, const OllamaSettings& settings) {
  const Json own = Json::parse(parameters, nullptr, false);
  Asked asked{.context_is_each_slots = true};
  asked.context = parameter(own, "num_ctx");
  if (!asked.context) asked.context = number_in(settings.context);
  if (asked.context.value_or(0) == 0) asked.context = usual_context(settings.device_memory);
  asked.gpu_layers = parameter(own, "num_gpu");
  asked.batch = parameter(own, "num_batch").value_or(asked.batch);
  asked.slots = std::max<std::uint64_t>(number_in(settings.parallel).value_or(1), 1);
  asked.key_bytes = asked.value_bytes = bytes_of_cached(settings.cache_type);
  return asked;
}

}  // namespace mgpu::estimate
