#include "engine/estimates.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <span>

#include <fmt/format.h>

#include "estimate/asked.h"
#include "estimate/gguf.h"
#include "estimate/memory.h"
#include "estimate/safetensors.h"

namespace mgpu::engine {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kFirstTry = 1U << 20;
constexpr std::size_t kMaxFiles = 1000;

std::string read_head(const fs::path& file, std::size_t size) {
  std::ifstream in(file, std::ios::binary);
  std::string head(size, '\0');
  in.read(head.data(), static_cast<std::streamsize>(size));
  head.resize(static_cast<std::size_t>(in.gcount()));
  return head;
}

// Parses a file's head, with more of it until it is enough. `most`: what a head takes at most.
template <class T>
Result<T> parsed(const fs::path& file, std::size_t most,
                 Result<T> (*parse)(std::span<const std::byte>, std::uint64_t)) {
  std::error_code error;
  const std::uint64_t size = fs::file_size(file, error);
  if (error) return fail(Code::not_found, error.message());
  for (std::size_t wanted = kFirstTry;; wanted *= 8) {
    const std::string head = read_head(file, std::min({wanted, most, static_cast<std::size_t>(size)}));
    Result<T> result = parse(std::as_bytes(std::span(head)), size);
    const bool more =
        !result && result.error().code == Code::unavailable && wanted < most && head.size() < size;
    if (!more) return result;
  }
}

// "x-00001-of-00003.gguf" -> the name of shard `number`; empty: it is no shard.
std::string shard(const std::string& file, std::size_t number) {
  const auto of = file.rfind("-of-");
  if (of == std::string::npos || of < 6 || file[of - 6] != '-') return "";
  return file.substr(0, of - 5) + fmt::format("{:05}", number) + file.substr(of);
}

std::vector<std::string> files_in(const fs::path& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    const std::string name = entry.path().filename();
    if (name.ends_with(".safetensors") || name.ends_with(".gguf")) files.push_back(entry.path());
    if (files.size() >= kMaxFiles) break;
  }
  std::ranges::sort(files);
  return files;
}

// All of "name-00001-of-00003.gguf", or the file alone.
std::vector<std::string> with_shards(const std::string& file) {
  std::vector<std::string> all;
  for (std::size_t number = 1; number <= kMaxFiles; ++number) {
    const std::string next = shard(file, number);
    if (next.empty() || !fs::exists(next)) break;
    all.push_back(next);
  }
  return all.empty() ? std::vector{file} : all;
}

fs::path in_folder_of(const config::ConsumerConfig& consumer, const std::string& file) {
  return consumer.process && !consumer.process->cwd.empty() ? fs::path(consumer.process->cwd) / file
                                                            : fs::path(file);
}

}  // namespace

std::vector<std::string> weights_of(const config::ConsumerConfig& consumer) {
  std::vector<std::string> named = consumer.weights;
  if (named.empty() && consumer.process) named = estimate::asked_by(consumer.process->command).files;
  std::vector<std::string> files;
  for (const std::string& each : named) {
    const fs::path path = in_folder_of(consumer, each);
    std::error_code error;
    const auto found = fs::is_directory(path, error) ? files_in(path) : with_shards(path);
    files.insert(files.end(), found.begin(), found.end());
  }
  return files;
}

std::optional<Bytes> estimated_footprint(const config::ConsumerConfig& consumer) {
  const estimate::Asked asked =
      consumer.process ? estimate::asked_by(consumer.process->command) : estimate::Asked{};
  std::optional<estimate::Gguf> gguf;  // the first; the weights of further shards are added to it
  Bytes tensors{};
  for (const std::string& file : weights_of(consumer)) {
    if (file.ends_with(".safetensors")) {
      if (const auto bytes = parsed(file, estimate::kMaxSafetensorsHead + 8, estimate::tensor_bytes))
        tensors += *bytes;
      continue;
    }
    const auto read = parsed(file, estimate::kMaxHead, estimate::parse_gguf);
    if (!read) continue;
    if (gguf)
      gguf->weights += read->weights;
    else
      gguf = *read;
  }
  if (gguf) tensors += estimate::memory_of(*gguf, asked).sum();
  if (tensors == Bytes{}) return std::nullopt;
  return tensors + estimate::kContext;
}

}  // namespace mgpu::engine
