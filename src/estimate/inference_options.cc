#include "estimate/inference_options.h"

#include <array>
#include <charconv>
#include <string_view>
#include <utility>

namespace mgpu::estimate {
namespace {

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  for (const std::string_view each : names)
    if (name == each) return true;
  return false;
}

void apply_option(InferenceOptions& options, std::string_view name, const std::string& value) {
  if (is_one_of(name, {"-m", "--model", "--model-path"})) {
    options.files = {value};
  } else if (name == "--models-dir") {
    options.folder = value;
  } else if (is_one_of(name, {"-c", "--ctx-size", "--max-model-len", "--context-length"})) {
    options.context = parse_number(value);
  } else if (is_one_of(name, {"-ngl", "--gpu-layers", "--n-gpu-layers"})) {
    options.gpu_layers = parse_number(value);
  } else if (is_one_of(name, {"-ub", "--ubatch-size"})) {
    options.batch = parse_number(value).value_or(options.batch);
  } else if (is_one_of(name, {"-np", "--parallel"})) {
    options.slots = parse_number(value).value_or(options.slots);
  } else if (is_one_of(name, {"-ctk", "--cache-type-k"})) {
    options.key_bytes = cache_type_bytes(value);
  } else if (is_one_of(name, {"-ctv", "--cache-type-v"})) {
    options.value_bytes = cache_type_bytes(value);
  } else if (name == "--kv-cache-dtype") {
    options.key_bytes = options.value_bytes = cache_type_bytes(value);
  }
}

}  // namespace

std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size() || number > (1ULL << 32)) return std::nullopt;
  return number;
}

// Quantised types consist of blocks of 32 numbers with a scale.
std::optional<double> cache_type_bytes(std::string_view type) {
  constexpr std::pair<std::string_view, double> kTypes[] = {
      {"f32", 4},          {"f16", 2},          {"bf16", 2},         {"q8_0", 34.0 / 32},
      {"q5_1", 24.0 / 32}, {"q5_0", 22.0 / 32}, {"fp8", 1},          {"fp8_e4m3", 1},
      {"fp8_e5m2", 1},     {"q4_1", 20.0 / 32}, {"q4_0", 18.0 / 32}, {"iq4_nl", 18.0 / 32}};
  for (const auto& [name, bytes] : kTypes)
    if (type == name) return bytes;
  return std::nullopt;
}

InferenceOptions parse_inference_options(const std::vector<std::string>& command) {
  InferenceOptions options;
  for (std::size_t i = 1; i < command.size(); ++i) {
    const std::string& word = command[i];
    const bool names_weights = word == "serve" && i + 1 < command.size() && !command[i + 1].starts_with('-');
    if (names_weights) options.files = {command[i + 1]};  // vllm serve /srv/qwen3
    if (!word.starts_with('-')) continue;
    if (const auto equals = word.find('='); equals != std::string::npos)
      apply_option(options, std::string_view(word).substr(0, equals), word.substr(equals + 1));
    else if (i + 1 < command.size())
      apply_option(options, word, command[i + 1]);
  }
  return options;
}

}  // namespace mgpu::estimate
