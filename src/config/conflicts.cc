#include "config/conflicts.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <string_view>
#include <utility>

namespace mgpu::config {
namespace {

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// The address in the url of a consumer with a runner, normalized so that equal addresses are equal texts.
// Empty: no url, no runner, or the port is chosen at start (${PORT}).
std::string listen_address(const ConsumerConfig& consumer) {
  const std::string& url = consumer.service.url;
  const auto scheme = url.find("://");
  if (is_external(consumer) || scheme == std::string::npos || url.contains("${PORT}")) return {};
  std::string authority = url.substr(scheme + 3);
  authority.resize(std::min(authority.find('/'), authority.size()));
  authority = lower_case(std::move(authority));
  const auto colon = authority.rfind(':');
  const bool has_port = colon != std::string::npos && !authority.ends_with(']');
  const std::string host = authority.substr(0, has_port ? colon : authority.size());
  const std::string port = has_port ? authority.substr(colon) : ":80";
  return (host == "localhost" ? "127.0.0.1" : host) + port;
}

std::string unit_label(const SystemdConfig& systemd) {
  return systemd.unit + (systemd.bus == BusType::user ? " of the user" : "");
}

std::string container_label(const ConsumerConfig& consumer) {
  const ContainerConfig& container = *consumer.container;
  const std::string name = container.name.empty() ? managed_container_name(consumer.name) : container.name;
  return container.socket.empty() ? name : name + " at " + container.socket;
}

class ConflictFinder {
 public:
  explicit ConflictFinder(const std::vector<ConsumerConfig>& consumers) {
    for (const ConsumerConfig& consumer : consumers) {
      const std::string path = "consumers." + consumer.name;
      add_lower_case_name(consumer.name, path);
      add_names(consumer, path);
      if (consumer.systemd && !consumer.systemd->unit.empty())
        add_resource("unit", unit_label(*consumer.systemd), consumer.name, path + ".runner.systemd.unit");
      if (consumer.container)
        add_resource("container", container_label(consumer), consumer.name, path + ".runner.container");
      if (const std::string address = listen_address(consumer); !address.empty())
        add_resource("address", address, consumer.name, path + ".url");
    }
  }

  std::vector<Conflict> conflicts{};

 private:
  // A request selects its consumer by name, alias or AI model, so each of these must be unique.
  void add_names(const ConsumerConfig& consumer, const std::string& path) {
    add_name(consumer.name, consumer.name, path);
    for (const std::string& alias : consumer.aliases) add_name(alias, consumer.name, path + ".aliases");
    for (const auto& [ai_model, footprint] : consumer.ai_models)
      add_name(ai_model, consumer.name, path + ".ai_models");
  }

  // Ollama's clients change the case of names.
  void add_lower_case_name(const std::string& name, const std::string& path) {
    const auto [entry, inserted] = lower_case_names_.emplace(lower_case(name), name);
    if (!inserted && entry->second != name)
      report(path, "differs from consumer \"" + entry->second + "\" only in case: choose another name");
  }

  void add_name(const std::string& name, const std::string& owner, const std::string& path) {
    if (name.empty()) return report(path, "contains an empty name: remove it");
    const auto [entry, inserted] = name_owners_.emplace(name, owner);
    if (!inserted && entry->second != owner)
      report(path,
             "\"" + name + "\" already selects consumer \"" + entry->second + "\": choose another name");
  }

  // Two consumers with the same process would stop it for each other, and its memory would be counted twice.
  void add_resource(const std::string& kind, const std::string& id, const std::string& owner,
                    const std::string& path) {
    const std::string resource = kind + " " + id;
    const auto [entry, inserted] = resource_owners_.emplace(resource, owner);
    if (!inserted)
      report(path, resource + " already belongs to consumer \"" + entry->second +
                       "\": use one consumer, or another " + kind);
  }

  void report(const std::string& path, std::string message) {
    conflicts.push_back({path, std::move(message)});
  }

  std::map<std::string, std::string> lower_case_names_{};  // lower case -> the consumer
  std::map<std::string, std::string> name_owners_{};       // name -> the consumer that it selects
  std::map<std::string, std::string> resource_owners_{};   // resource -> the consumer that owns it
};

}  // namespace

std::vector<Conflict> find_conflicts(const std::vector<ConsumerConfig>& consumers) {
  return ConflictFinder(consumers).conflicts;
}

}  // namespace mgpu::config
