#include "engine/weights.h"

#include <algorithm>
#include <cstdlib>

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/services.h"

#include "estimate/ollama.h"
#include "estimate/safetensors.h"

namespace mgpu::engine {
namespace {

namespace fs = std::filesystem;
using Files = std::vector<std::string>;

constexpr std::size_t kMaxFiles = 1000;

// The name of shard `number` of "x-00001-of-00003.gguf"; empty: the file is not a shard.
std::string shard_path(const std::string& file, std::size_t number) {
  const auto of = file.rfind("-of-");
  if (of == std::string::npos || of < 6 || file[of - 6] != '-') return "";
  return file.substr(0, of - 5) + fmt::format("{:05}", number) + file.substr(of);
}

// The weight files of a folder that belong together, if the folder defines that: other files may be the same
// weights in another format.
Files weight_files_in(const fs::path& folder) {
  Files files;
  const fs::path index = folder / "model.safetensors.index.json";
  if (const auto listed = estimate::indexed_files(read_file_head(index, estimate::kMaxSafetensorsIndex))) {
    for (const std::string& name : *listed) files.push_back(folder / name);
    return files;
  }
  std::error_code error;
  // The increment of a range-based for would throw if the folder can't be read to its end.
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string name = at->path().filename();
    if (name.ends_with(".safetensors") || name.ends_with(".gguf")) files.push_back(at->path());
    if (files.size() >= kMaxFiles) break;
  }
  std::ranges::sort(files);
  return files;
}

// All shards of "name-00001-of-00003.gguf", or the file alone.
Files with_shards(const std::string& file) {
  Files all;
  for (std::size_t number = 1; number <= kMaxFiles; ++number) {
    const std::string next = shard_path(file, number);
    std::error_code error;
    if (next.empty() || !fs::exists(next, error)) break;
    all.push_back(next);
  }
  return all.empty() ? Files{file} : all;
}

Files single_ai_model_files(const config::ConsumerConfig& consumer,
                            const estimate::InferenceOptions& options) {
  Files files;
  for (const std::string& each : consumer.weights.empty() ? options.files : consumer.weights) {
    const fs::path path = resolve_path(consumer, each);
    std::error_code error;
    const Files found = fs::is_directory(path, error) ? weight_files_in(path) : with_shards(path);
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

// The folders that may contain the service's AI models, the most likely first. Folders of a container are not
// the host's.
std::vector<fs::path> weights_folders(const config::ConsumerConfig& consumer,
                                      const estimate::InferenceOptions& options) {
  std::vector<fs::path> folders;
  for (const std::string& each : consumer.weights) folders.push_back(resolve_path(consumer, each));
  if (!folders.empty() || consumer.container) return folders;
  if (!options.folder.empty()) folders.push_back(resolve_path(consumer, options.folder));
  const config::ServiceTraits& facts = config::service_traits(consumer.service.type);
  if (!facts.weights_variable.empty())
    if (const auto folder = environment_variable(consumer, std::string(facts.weights_variable));
        !folder.empty())
      folders.push_back(resolve_path(consumer, folder));
  const std::string home = environment_variable(consumer, "HOME");
  for (const std::string_view usual : facts.weights_folders)
    if (!usual.starts_with('~'))
      folders.emplace_back(usual);
    else if (!home.empty())
      folders.emplace_back(home + std::string(usual.substr(1)));
  return folders;
}

// NAME.gguf, a file NAME, or all files in the folder NAME.
Files find_ai_model_files(const fs::path& folder, const std::string& ai_model) {
  const fs::path name(ai_model);
  const auto escapes_folder = [](const fs::path& part) { return part == "." || part == ".."; };
  if (ai_model.empty() || name.is_absolute() || std::ranges::any_of(name, escapes_folder)) return {};
  const fs::path path = folder / name;
  std::error_code error;
  if (fs::is_regular_file(path.string() + ".gguf", error)) return with_shards(path.string() + ".gguf");
  if (fs::is_directory(path, error)) return weight_files_in(path);
  return fs::is_regular_file(path, error) ? with_shards(path) : Files{};
}

Weights find_ollama_weights(const config::ConsumerConfig& consumer, const fs::path& folder,
                            const std::string& ai_model, Bytes device_memory) {
  const auto manifest = estimate::manifest_path(ai_model);
  if (!manifest) return {};
  const auto parts = estimate::parse_manifest(read_file_head(folder / *manifest, estimate::kMaxManifest));
  if (!parts) return {};
  Weights weights;
  for (const std::string& blob : parts->weights) weights.files.push_back(folder / blob);
  const std::string parameters =
      parts->parameters.empty() ? "" : read_file_head(folder / parts->parameters, estimate::kMaxManifest);
  weights.inference_options = estimate::ollama_inference_options(
      parameters, {.context = environment_variable(consumer, "OLLAMA_CONTEXT_LENGTH"),
                   .parallel = environment_variable(consumer, "OLLAMA_NUM_PARALLEL"),
                   .cache_type = environment_variable(consumer, "OLLAMA_KV_CACHE_TYPE"),
                   .device_memory = device_memory});
  return weights;
}

// Paths in a container's command are not paths on the host, and are ignored.
estimate::InferenceOptions options_from_command(const config::ConsumerConfig& consumer) {
  if (consumer.process) return estimate::parse_inference_options(consumer.process->command);
  if (!consumer.container) return {};
  std::vector<std::string> command{consumer.container->image};
  command.insert(command.end(), consumer.container->command.begin(), consumer.container->command.end());
  estimate::InferenceOptions options = estimate::parse_inference_options(command);
  options.files.clear();
  options.folder.clear();
  return options;
}

}  // namespace

fs::path resolve_path(const config::ConsumerConfig& consumer, const std::string& file) {
  return consumer.process && !consumer.process->cwd.empty() ? fs::path(consumer.process->cwd) / file
                                                            : fs::path(file);
}

std::string environment_variable(const config::ConsumerConfig& consumer, const std::string& name) {
  if (consumer.container) {
    const auto set = consumer.container->env.find(name);
    return set == consumer.container->env.end() ? "" : set->second;
  }
  if (consumer.process) {
    if (const auto set = consumer.process->env.find(name); set != consumer.process->env.end())
      return set->second;
    for (const std::string& word : consumer.process->command)  // env OLLAMA_MODELS=/srv/models ollama serve
      if (word.starts_with(name + "=")) return word.substr(name.size() + 1);
  }
  const char* value = std::getenv(name.c_str());
  return value != nullptr ? value : "";
}

// Opens pipes and devices without blocking, and reads nothing from them.
std::string read_file_head(const fs::path& file, std::size_t size) {
  const int fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  if (fd < 0) return "";
  struct stat facts{};
  const bool regular = ::fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > 0;
  std::string head(regular ? std::min<std::uintmax_t>(size, static_cast<std::uintmax_t>(facts.st_size)) : 0,
                   '\0');
  std::size_t bytes_read = 0;
  while (bytes_read < head.size()) {
    const ssize_t count = ::read(fd, head.data() + bytes_read, head.size() - bytes_read);
    if (count <= 0) break;
    bytes_read += static_cast<std::size_t>(count);
  }
  ::close(fd);
  head.resize(bytes_read);
  return head;
}

Weights find_weights(const config::ConsumerConfig& consumer, const std::string& ai_model,
                     Bytes device_memory) {
  Weights weights{.inference_options = options_from_command(consumer)};
  if (!has_several_ai_models(consumer.service)) {
    weights.files = single_ai_model_files(consumer, weights.inference_options);
    return weights;
  }
  for (const fs::path& folder : weights_folders(consumer, weights.inference_options)) {
    if (consumer.service.type == config::ServiceType::ollama) {
      Weights found = find_ollama_weights(consumer, folder, ai_model, device_memory);
      if (!found.files.empty()) return found;
    } else if (weights.files = find_ai_model_files(folder, ai_model); !weights.files.empty()) {
      return weights;
    }
  }
  return weights;
}

}  // namespace mgpu::engine
