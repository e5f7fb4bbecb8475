#include "estimate/transformer_config.h"

#include <algorithm>
#include <string>

#include <nlohmann/json.hpp>

namespace mgpu::estimate {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kMaxLayers = 10'000;
constexpr std::uint64_t kMaxValue = 1ULL << 31;
// Keeps sums of implausible values in range
constexpr auto kMaxBytes = static_cast<double>(kLargestBytes.count);

std::unexpected<Error> malformed(const char* why) { return fail(ErrorCode::invalid_request, why); }

// 0: absent or implausible.
std::uint64_t integer_field(const Json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end() || !found->is_number_unsigned()) return 0;
  const auto value = found->get<std::uint64_t>();
  return value < kMaxValue ? value : 0;
}

std::string string_field(const Json& config, const char* name) {
  const auto found = config.find(name);
  return found != config.end() && found->is_string() ? found->get<std::string>() : "";
}

bool is_generative(const Json& config) {
  const Json architectures = config.value("architectures", Json());
  return std::ranges::any_of(architectures, [](const Json& each) {
    const std::string name = each.is_string() ? each.get<std::string>() : "";
    return name.ends_with("ForCausalLM") || name.ends_with("ForConditionalGeneration");
  });
}

// The part for the language model in the configuration of a multimodal one; null: there is no such part.
const Json* find_text_config(const Json& config) {
  for (const char* name : {"text_config", "llm_config"})
    if (const auto found = config.find(name); found != config.end() && found->is_object()) return &*found;
  return nullptr;
}

// Counts layers by the size of their cache. Layers that are not attention have almost none.
void count_layers(TransformerConfig& transformer, const Json& config, std::uint64_t layers) {
  const Json types = config.value("layer_types", Json());
  transformer.window = integer_field(config, "sliding_window");
  // Every n-th layer has full attention
  const std::uint64_t pattern = integer_field(config, "sliding_window_pattern");
  // Likewise; the others have no cache
  const std::uint64_t interval = integer_field(config, "full_attention_interval");
  if (types.is_array()) {
    for (const Json& type : types)
      if (type == "full_attention")
        ++transformer.full_layers;
      else if (type == "sliding_attention" || type == "chunked_attention")
        ++(transformer.window > 0 ? transformer.windowed_layers : transformer.full_layers);
  } else if (pattern > 0 && transformer.window > 0) {
    transformer.full_layers = layers / pattern;
    transformer.windowed_layers = layers - transformer.full_layers;
  } else {
    transformer.full_layers = interval > 0 ? layers / interval : layers;
  }
}

std::uint64_t count_numbers_per_token(const Json& config) {
  // Multi-head latent attention: one compressed vector for all heads.
  if (const std::uint64_t latent = integer_field(config, "kv_lora_rank"); latent > 0)
    return latent + integer_field(config, "qk_rope_head_dim");
  const std::uint64_t heads = integer_field(config, "num_attention_heads");
  const std::uint64_t kv_heads = integer_field(config, "num_key_value_heads");
  const std::uint64_t width = integer_field(config, "head_dim");
  return 2 * (kv_heads > 0 ? kv_heads : heads) *
         (width > 0 || heads == 0 ? width : integer_field(config, "hidden_size") / heads);
}

double weight_number_bytes(const Json& whole, const Json& config) {
  for (const Json* each : {&config, &whole})
    for (const char* name : {"dtype", "torch_dtype"})
      if (const std::string type = string_field(*each, name); !type.empty()) return type == "float32" ? 4 : 2;
  return 2;
}

}  // namespace

Result<TransformerConfig> parse_transformer_config(std::string_view json) {
  const Json whole = Json::parse(json, nullptr, false);
  if (!whole.is_object()) return malformed("config.json is not a JSON object");
  if (!is_generative(whole)) return malformed("not a generative AI model: it has no KV cache");
  const Json* const part = find_text_config(whole);
  const Json& config = part != nullptr ? *part : whole;
  TransformerConfig transformer{.numbers_per_token = count_numbers_per_token(config),
                                .context = integer_field(config, "max_position_embeddings"),
                                .bytes_per_number = weight_number_bytes(whole, config)};
  count_layers(transformer, config, integer_field(config, "num_hidden_layers"));
  const std::uint64_t layers = transformer.full_layers + transformer.windowed_layers;
  if (layers == 0 || layers > kMaxLayers || transformer.numbers_per_token == 0)
    return malformed("config.json does not describe the layers of the KV cache");
  return transformer;
}

Bytes kv_cache_bytes(const TransformerConfig& transformer, const InferenceOptions& options) {
  const std::uint64_t context = options.context.value_or(0) > 0 ? *options.context : transformer.context;
  const double tokens = static_cast<double>(transformer.full_layers) * static_cast<double>(context) +
                        static_cast<double>(transformer.windowed_layers) *
                            static_cast<double>(std::min(context, transformer.window));
  const double bytes_per_number = options.key_bytes.value_or(transformer.bytes_per_number);
  const double bytes = tokens * static_cast<double>(transformer.numbers_per_token) * bytes_per_number;
  return {static_cast<std::int64_t>(std::min(bytes, kMaxBytes))};
}

}  // namespace mgpu::estimate
