#include "engine/catalog_files.h"

#include <algorithm>
#include <set>
#include <string_view>

#include <sys/stat.h>

#include "base/ascii.h"
#include "base/sha256.h"
#include "config/services.h"
#include "engine/name_index.h"
#include "engine/weights.h"

#include "estimate/llama_presets.h"
#include "estimate/ollama.h"

namespace mgpu::engine {
namespace {

namespace fs = std::filesystem;
using config::ServiceType;

constexpr std::int64_t kNanosecondsPerMs = 1'000'000;
constexpr std::size_t kMaxConfigFile = std::size_t{256} * 1024;

struct FileStatus {
  std::int64_t modified_ns = 0;
  std::uint64_t size = 0;
  bool is_folder = false;
};

std::optional<FileStatus> file_status(const fs::path& path) {
  struct stat status{};
  if (::stat(path.c_str(), &status) != 0) return std::nullopt;
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode)) return std::nullopt;
  return FileStatus{
      .modified_ns = std::int64_t{status.st_mtim.tv_sec} * 1'000'000'000 + status.st_mtim.tv_nsec,
      .size = static_cast<std::uint64_t>(status.st_size),
      .is_folder = S_ISDIR(status.st_mode)};
}

// The entries of a folder, in the order of their names; hidden ones are left out.
std::vector<fs::path> entries_of(const fs::path& folder) {
  std::vector<fs::path> entries;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!at->path().filename().string().starts_with('.')) entries.push_back(at->path());
    if (entries.size() >= kMaxListedAiModels) break;
  }
  std::ranges::sort(entries);
  return entries;
}

std::optional<AiModelFacts> parse_ollama_facts(const fs::path& folder, const std::string& name,
                                               const std::string& manifest, const FileStatus& status) {
  const auto summary = estimate::summarize_manifest(manifest);
  if (!summary) return std::nullopt;
  const std::string config =
      summary->details.empty() ? "" : read_file_head(folder / summary->details, estimate::kMaxManifest);
  estimate::OllamaDetails details = estimate::parse_details(config);
  return AiModelFacts{.name = name,
                      .digest = sha256_hex(manifest),
                      .size = summary->size,
                      .modified_ms = status.modified_ns / kNanosecondsPerMs,
                      .format = std::move(details.format),
                      .family = std::move(details.family),
                      .families = std::move(details.families),
                      .parameter_size = std::move(details.parameter_size),
                      .quantization = std::move(details.quantization),
                      .weights = summary->weights};
}

AiModelFacts gguf_facts(std::string name, const FileStatus& status) {
  return {.name = std::move(name),
          .size = Bytes{static_cast<std::int64_t>(status.size)},
          .modified_ms = status.modified_ns / kNanosecondsPerMs,
          .format = "gguf"};
}

// The file that a router loads of a folder: the first of several shards, or the only one; no projector.
std::optional<fs::path> weights_in(const fs::path& folder) {
  std::optional<fs::path> found;
  for (const fs::path& file : entries_of(folder)) {
    const std::string name = file.filename();
    if (!name.ends_with(".gguf") || name.contains("mmproj")) continue;
    if (name.contains("-00001-of-")) return file;
    if (!name.contains("-of-")) found = file;
  }
  return found;
}

// The value of `name: value` at the beginning of a line of YAML; empty: none.
std::string yaml_name(std::string_view text) {
  constexpr std::string_view kKey = "name:";
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.starts_with(kKey)) continue;
    std::string_view value = trimmed(line.substr(kKey.size()));
    value = trimmed(value.substr(0, value.find(" #")));
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
      value = value.substr(1, value.size() - 2);
    return std::string(value.ends_with('\r') ? value.substr(0, value.size() - 1) : value);
  }
  return {};
}

std::vector<std::string> option_values(const std::vector<std::string>& command, std::string_view option) {
  std::vector<std::string> values;
  for (std::size_t i = 0; i < command.size(); ++i) {
    const std::string& word = command[i];
    if (word == option && i + 1 < command.size()) values.push_back(command[i + 1]);
    if (word.starts_with(std::string(option) + "=")) values.push_back(word.substr(option.size() + 1));
  }
  return values;
}

}  // namespace

bool has_catalog_files(const config::ConsumerConfig& consumer) {
  if (!has_several_ai_models(consumer.service)) return false;
  if (consumer.container && consumer.weights.empty()) return false;  // its folders are not the host's
  switch (consumer.service.type) {
    case ServiceType::ollama:
    case ServiceType::llama_server:
    case ServiceType::localai:
    case ServiceType::triton:
      return true;
    default:
      return false;
  }
}

std::vector<AiModelFacts> CatalogFiles::read() {
  switch (consumer_.service.type) {
    case ServiceType::ollama:
      return read_ollama();
    case ServiceType::llama_server:
      return read_router();
    case ServiceType::localai:
      return read_localai();
    case ServiceType::triton:
      return read_triton();
    default:
      return {};
  }
}

// Ollama takes OLLAMA_MODELS, or else the folder in its home. A unit that its installer made has a home of
// its own; whose home an external one has is unknown, so both are read.
std::vector<fs::path> CatalogFiles::ollama_folders() const {
  std::vector<fs::path> folders;
  for (const std::string& each : consumer_.weights) folders.push_back(resolve_path(consumer_, each));
  if (!folders.empty()) return folders;
  const config::ServiceTraits& traits = config::service_traits(consumer_.service.type);
  const std::string folder = environment_variable(consumer_, std::string(traits.weights_variable));
  if (!folder.empty()) return {resolve_path(consumer_, folder)};
  const std::string home = environment_variable(consumer_, "HOME");
  for (const std::string_view usual : traits.weights_folders) {
    const bool is_in_home = usual.starts_with('~');
    if (is_in_home && !home.empty()) folders.emplace_back(home + std::string(usual.substr(1)));
    if (!is_in_home && !consumer_.process) folders.emplace_back(usual);
  }
  return folders;
}

std::vector<AiModelFacts> CatalogFiles::read_ollama() {
  ReadFiles read;
  for (const fs::path& folder : ollama_folders()) read_manifests(folder, read);
  manifests_ = std::move(read);
  std::vector<AiModelFacts> found;
  std::set<std::string> names;  // the same in two folders: that of the first
  for (const auto& [path, file] : manifests_)
    if (file.facts && names.insert(file.facts->name).second) found.push_back(*file.facts);
  std::ranges::stable_sort(found, std::ranges::greater{}, &AiModelFacts::modified_ms);
  return found;
}

// manifests/REGISTRY/NAMESPACE/NAME/TAG
void CatalogFiles::read_manifests(const fs::path& folder, ReadFiles& to) const {
  const fs::path root = folder / "manifests";
  for (const fs::path& registry : entries_of(root))
    for (const fs::path& name_space : entries_of(registry))
      for (const fs::path& name : entries_of(name_space))
        for (const fs::path& tag : entries_of(name)) {
          const auto status = file_status(tag);
          if (!status || status->is_folder || to.size() >= kMaxListedAiModels) continue;
          const Version version{.modified_ns = status->modified_ns, .size = status->size};
          const auto known = manifests_.find(tag);
          if (known != manifests_.end() && known->second.version == version) {
            to[tag] = known->second;
            continue;
          }
          const std::string ai_model = estimate::name_of_manifest(tag.lexically_relative(root).string());
          const std::string manifest = read_file_head(tag, estimate::kMaxManifest);
          to[tag] = {.version = version,
                     .facts = ai_model.empty() ? std::nullopt
                                               : parse_ollama_facts(folder, ai_model, manifest, *status)};
        }
}

std::vector<fs::path> CatalogFiles::named_paths(std::initializer_list<std::string_view> options,
                                                std::initializer_list<const char*> variables) const {
  std::vector<fs::path> paths;
  if (consumer_.process)
    for (const std::string_view option : options)
      for (const std::string& value : option_values(consumer_.process->command, option))
        paths.push_back(resolve_path(consumer_, value));
  if (!paths.empty()) return paths;
  for (const char* variable : variables)
    if (const std::string value = environment_variable(consumer_, variable); !value.empty())
      paths.push_back(resolve_path(consumer_, value));
  return paths;
}

// As llama-server reads them: in the folder FILE.gguf is FILE, a folder with weights has the folder's name.
std::vector<AiModelFacts> CatalogFiles::read_router() const {
  std::vector<AiModelFacts> found;
  const auto add = [&](AiModelFacts facts) {
    const bool is_new = std::ranges::find(found, facts.name, &AiModelFacts::name) == found.end();
    if (is_new && found.size() < kMaxListedAiModels) found.push_back(std::move(facts));
  };
  std::vector<fs::path> folders = named_paths({"--models-dir"}, {"LLAMA_ARG_MODELS_DIR"});
  for (const std::string& each : consumer_.weights) folders.push_back(resolve_path(consumer_, each));
  for (const fs::path& folder : folders)
    for (const fs::path& entry : entries_of(folder)) {
      const auto status = file_status(entry);
      if (!status) continue;
      const std::optional<fs::path> weights = status->is_folder ? weights_in(entry) : std::optional(entry);
      if (!weights || weights->extension() != ".gguf") continue;
      const auto weights_status = file_status(*weights);
      if (weights_status)
        add(gguf_facts(status->is_folder ? entry.filename() : entry.stem(), *weights_status));
    }
  for (const fs::path& file : named_paths({"--models-preset"}, {"LLAMA_ARG_MODELS_PRESET"}))
    for (std::string& name : estimate::preset_names(read_file_head(file, estimate::kMaxPresets)))
      add({.name = std::move(name)});
  return found;
}

std::vector<AiModelFacts> CatalogFiles::read_localai() const {
  std::vector<AiModelFacts> found;
  for (const fs::path& folder : named_paths({"--models-path"}, {"LOCALAI_MODELS_PATH", "MODELS_PATH"}))
    for (const fs::path& file : entries_of(folder)) {
      if (file.extension() != ".yaml" && file.extension() != ".yml") continue;
      const auto status = file_status(file);
      std::string name = yaml_name(read_file_head(file, kMaxConfigFile));
      if (status && !name.empty())
        found.push_back({.name = std::move(name), .modified_ms = status->modified_ns / kNanosecondsPerMs});
    }
  return found;
}

std::vector<AiModelFacts> CatalogFiles::read_triton() const {
  std::vector<AiModelFacts> found;
  for (const fs::path& folder : named_paths({"--model-repository", "--model-store"}, {}))
    for (const fs::path& entry : entries_of(folder))
      if (const auto status = file_status(entry); status && status->is_folder)
        found.push_back({.name = entry.filename(), .modified_ms = status->modified_ns / kNanosecondsPerMs});
  return found;
}

}  // namespace mgpu::engine
