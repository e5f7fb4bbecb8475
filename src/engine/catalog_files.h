// The AI models of a service that has several, as its files tell them: Ollama's manifests, the folder and the
// presets of a llama-server router, the repositories of LocalAI and Triton. So they are known before the
// service was ever started.
//
// Thread rule: one thread at a time. Reads the file system with the daemon's permissions; that may hang, so
// the strand must not call it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/config.h"
#include "domain/ai_model_facts.h"

namespace mgpu::engine {

// Whether anything tells the AI models of such a consumer. False: it has one, or only a running service
// tells.
bool has_catalog_files(const config::ConsumerConfig& consumer);

class CatalogFiles {
 public:
  explicit CatalogFiles(config::ConsumerConfig consumer) : consumer_(std::move(consumer)) {}

  // The AI models; Ollama's with those changed last first. A file that can't be read or makes no sense is
  // left out. At most kMaxListedAiModels. Reads only files that changed since the last call.
  std::vector<AiModelFacts> read();

 private:
  // A file as it was when it was read.
  struct Version {
    std::int64_t modified_ns = 0;
    std::uint64_t size = 0;
    friend bool operator==(const Version&, const Version&) = default;
  };
  struct ReadFile {
    Version version{};
    std::optional<AiModelFacts> facts{};  // none: it makes no sense
  };
  using ReadFiles = std::map<std::string, ReadFile>;  // by path

  std::vector<AiModelFacts> read_ollama();
  std::vector<AiModelFacts> read_router() const;
  std::vector<AiModelFacts> read_localai() const;
  std::vector<AiModelFacts> read_triton() const;
  std::vector<std::filesystem::path> ollama_folders() const;
  void read_manifests(const std::filesystem::path& folder, ReadFiles& to) const;
  std::vector<std::filesystem::path> named_paths(std::initializer_list<std::string_view> options,
                                                 std::initializer_list<const char*> variables) const;

  config::ConsumerConfig consumer_;
  ReadFiles manifests_{};
};

}  // namespace mgpu::engine
