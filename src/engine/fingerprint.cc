#include "engine/fingerprint.h"

#include <cstdint>
#include <string_view>

#include <fmt/format.h>

#include "config/services.h"

namespace mgpu::engine {
namespace {

// FNV-1a over strings with their lengths, so that ["a", "bc"] and ["ab", "c"] differ. The hashes are stored:
// equal input must give equal hashes in every later version, which std::hash does not guarantee.
class Fnv1aHash {
 public:
  Fnv1aHash& add(std::string_view piece) {
    for (std::size_t size = piece.size(), i = 0; i < sizeof size; ++i) add_byte((size >> (8 * i)) & 0xFF);
    for (const char letter : piece) add_byte(static_cast<unsigned char>(letter));
    return *this;
  }
  std::string to_hex() const { return fmt::format("{:016x}", state_); }

 private:
  void add_byte(std::uint64_t byte) { state_ = (state_ ^ byte) * 0x100000001B3ULL; }
  std::uint64_t state_ = 0xCBF29CE484222325ULL;
};

Fnv1aHash memory_hash(const config::ConsumerConfig& consumer) {
  Fnv1aHash hash;
  hash.add(config::service_name(consumer.service.type));
  hash.add(consumer.service.router ? "router" : "");
  const auto add_settings = [&hash](const auto& runner) {
    for (const std::string& word : runner.command) hash.add(word);
    hash.add("env");
    for (const auto& [name, value] : runner.env) hash.add(name).add(value);
  };
  if (consumer.process) add_settings(*consumer.process);
  if (consumer.container) {
    hash.add("container").add(consumer.container->name).add(consumer.container->image);
    add_settings(*consumer.container);
  }
  return hash;
}

}  // namespace

std::string memory_fingerprint(const config::ConsumerConfig& consumer) {
  return memory_hash(consumer).to_hex();
}

std::string process_fingerprint(const config::ConsumerConfig& consumer) {
  Fnv1aHash hash = memory_hash(consumer);
  hash.add(consumer.service.url).add(consumer.device);
  if (consumer.process) hash.add(consumer.process->cwd);
  for (const std::string& device : consumer.devices) hash.add("devices").add(device);
  for (const std::uint32_t part : consumer.split) hash.add("split").add(std::to_string(part));
  return hash.to_hex();
}

}  // namespace mgpu::engine
