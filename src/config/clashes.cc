#include "config/clashes.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

namespace mgpu::config {
namespace {

// The address that a process of ours listens on by its url, so that two ways to write one are the same text.
// Empty: it has none, or a port of its own is chosen for it.
std::string listens_on(const ConsumerConfig& consumer) {
  const std::string& url = consumer.service.url;
  const auto scheme = url.find("://");
  if (is_external(consumer) || scheme == std::string::npos || url.contains("${PORT}")) return {};
  std::string authority = url.substr(scheme + 3);
  authority.resize(std::min(authority.find('/'), authority.size()));
  std::ranges::transform(authority, authority.begin(), [](unsigned char c) { return std::tolower(c); });
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos && !authority.ends_with(']');
  const std::string host = authority.substr(0, has_port ? colon : authority.size());
  const std::string port = has_port ? authority.substr(colon) : ":80";
  return (host == "localhost" ? "127.0.0.1" : host) + port;
}

std::string unit_of(const SystemdConfig& systemd) {
  return systemd.unit + (systemd.bus == BusType::user ? " of the user" : "");
}

std::string container_of(const ConsumerConfig& consumer) {
  const ContainerConfig& container = *consumer.container;
  const std::string name = container.name.empty() ? made_container_name(consumer.name) : container.name;
  return container.socket.empty() ? name : name + " at " + container.socket;
}

class Claims {
 public:
  explicit Claims(const std::vector<ConsumerConfig>& consumers) {
    for (const ConsumerConfig& consumer : consumers) {
      const std::string path = "consumers." + consumer.name;
      names(consumer, path);
      if (consumer.systemd && !consumer.systemd->unit.empty())
        alone("unit " + unit_of(*consumer.systemd), consumer.name, path + ".runner.systemd.unit");
      if (consumer.container)
        alone("container " + container_of(consumer), consumer.name, path + ".runner.container");
      if (const std::string address = listens_on(consumer); !address.empty())
        alone("address " + address, consumer.name, path + ".url");
    }
  }

  std::vector<Clash> found{};

 private:
  // Requests choose a consumer by its name, an alias or an AI model: each may lead to only one of them.
  void names(const ConsumerConfig& consumer, const std::string& path) {
    name(consumer.name, consumer.name, path);
    for (const std::string& alias : consumer.aliases) name(alias, consumer.name, path + ".aliases");
    for (const auto& [ai_model, footprint] : consumer.ai_models)
      name(ai_model, consumer.name, path + ".ai_models");
  }

  void name(const std::string& name, const std::string& owner, const std::string& path) {
    if (name.empty()) return complain(path, "an empty name");
    const auto [claimed, fresh] = names_.emplace(name, owner);
    if (!fresh && claimed->second != owner)
      complain(path, "\"" + name + "\" already leads to consumer \"" + claimed->second + "\"");
  }

  // Two consumers that have one process between them would stop each other's, and count its memory twice.
  void alone(const std::string& what, const std::string& owner, const std::string& path) {
    const auto [claimed, fresh] = owners_.emplace(what, owner);
    if (!fresh) complain(path, what + " already belongs to consumer \"" + claimed->second + "\"");
  }

  void complain(const std::string& path, std::string what) { found.push_back({path, std::move(what)}); }

  std::map<std::string, std::string> names_{};   // who a name leads to
  std::map<std::string, std::string> owners_{};  // whose a thing is
};

}  // namespace

std::vector<Clash> clashes(const std::vector<ConsumerConfig>& consumers) { return Claims(consumers).found; }

}  // namespace mgpu::config
