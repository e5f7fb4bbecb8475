#include "config/check.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>
#include <string_view>

#include "config/clashes.h"
#include "config/files.h"
#include "config/services.h"
#include "config/signals.h"
#include "config/spelling.h"

namespace mgpu::config {
namespace {

constexpr std::string_view kPort = "${PORT}";

bool is_port(std::string_view text, int least) {
  int port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return !text.empty() && error == std::errc{} && end == text.data() + text.size() && port >= least &&
         port <= 65535;
}

// "host:port", "[::1]:port"; the port is the least allowed or more.
bool is_host_and_port(std::string_view text, int least_port) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon == 0) return false;
  const std::string_view host = text.substr(0, colon);
  const bool six = host.starts_with('[') && host.ends_with(']') && host.size() > 2;
  if (!six && host.find_first_of(":[]@/? \t") != std::string_view::npos) return false;
  const std::string_view port = text.substr(colon + 1);
  return is_port(port, least_port) || (least_port > 0 && port == kPort);
}

// http://host[:port][/path]
bool is_url(std::string_view url, std::string_view scheme) {
  if (!url.starts_with(scheme)) return false;
  const std::string_view rest = url.substr(scheme.size());
  const std::string_view authority = rest.substr(0, rest.find('/'));
  const bool bare_host = !authority.empty() && authority.find_first_of(":@[]") == std::string_view::npos;
  const bool odd = rest.find_first_of(" \t\r\n?#") != std::string_view::npos;
  return !odd && (bare_host || is_host_and_port(authority, 1));
}

// Why a url can't be used; nullopt if it can.
std::optional<std::string> url_fault(std::string_view url, std::string_view scheme) {
  if (url.starts_with("https://")) return "https is not spoken to services yet, only http";
  if (is_url(url, scheme)) return std::nullopt;
  return "\"" + std::string(url) + "\" is not a URL: write " + std::string(scheme) + "127.0.0.1:9001";
}

bool has_port(const std::string& text) { return text.contains(kPort); }

bool wants_port(const ProcessConfig& process) { return std::ranges::any_of(process.command, has_port); }

// Whether a port is chosen that a url can name.
bool wants_port(const ConsumerConfig& consumer) {
  return (consumer.process && wants_port(*consumer.process)) ||
         (consumer.container && wants_port(*consumer.container));
}

// [ADDRESS:]HOST:CONTAINER[/tcp|/udp], or CONTAINER alone
bool is_published_port(std::string_view text) {
  for (const std::string_view protocol : {"/tcp", "/udp"})
    if (text.ends_with(protocol)) text.remove_suffix(protocol.size());
  const std::size_t last = text.rfind(':');
  if (!is_port(text.substr(last == std::string_view::npos ? 0 : last + 1), 1)) return false;
  if (last == std::string_view::npos) return true;
  const std::string_view host = text.substr(0, last);
  return host == kPort || is_port(host, 1) || is_host_and_port(host, 1);
}

// A port of 0 means a free one, too; written as ${PORT} everybody after us has only one way to see it.
void name_free_port(std::vector<std::string>& command) {
  for (std::size_t i = 1; i < command.size(); ++i) {
    if (command[i] == "0" && command[i - 1].ends_with("port")) command[i] = kPort;
    if (command[i].ends_with("port=0")) command[i].replace(command[i].size() - 1, 1, kPort);
  }
}

bool is_name(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !text.empty() && text.size() <= 64 && text.find_first_not_of(kLetters) == std::string_view::npos;
}

// What a name that is none was meant to be, as the end of a complaint; empty if nothing is near.
std::string perhaps(const std::string& name, const std::vector<std::string>& known) {
  const std::string meant = nearest(name, known);
  return meant.empty() ? "" : ", did you mean \"" + meant + "\"?";
}

// Checks that share what they look at, and collect what they find.
class Checks {
 public:
  Checks(const Config& config, const Marks& marks, const std::string& file, bool look_for_files)
      : config_(config), marks_(marks), file_(file), look_for_files_(look_for_files) {}

  std::vector<Complaint> all() {
    top();
    devices();
    for (const ConsumerConfig& consumer : config_.consumers) {
      const std::string path = "consumers." + consumer.name;
      bindings(consumer, path);
      followers(consumer, path);
      if (consumer.service.type == ServiceType::none)
        needs_service(consumer, path);
      else
        service(consumer, path);
      runner(consumer, path + ".runner");
    }
    for (Clash& clash : clashes(config_.consumers)) complain(clash.path, std::move(clash.what));
    return std::move(complaints_);
  }

 private:
  // A complaint where `path` stands or, if the file does not have it, where the nearest mapping around it
  // does.
  void complain(const std::string& path, std::string what) {
    std::string at = path;
    while (!marks_.contains(at) && at.find('.') != std::string::npos) at.resize(at.rfind('.'));
    Complaint complaint{.file = file_, .key = path, .what = std::move(what)};
    if (const auto mark = marks_.find(at); mark != marks_.end())
      complaint.line = mark->second.line + 1, complaint.column = mark->second.column + 1;
    complaints_.push_back(std::move(complaint));
  }

  void top() {
    if (!is_host_and_port(config_.listen, 0))
      complain("listen", "\"" + config_.listen + "\" is not an address: write 127.0.0.1:8090");
  }

  void devices() {
    std::set<std::string> ids;
    std::set<std::string> uuids;
    std::set<std::uint32_t> indices;
    for (std::size_t i = 0; i < config_.devices.size(); ++i) {
      const DeviceConfig& device = config_.devices[i];
      const std::string path = "devices[" + std::to_string(i) + "]";
      if (!device.id.empty() && !is_name(device.id))
        complain(path + ".id",
                 "\"" + device.id + "\" is no name: use letters, digits, dot, dash and underscore");
      if (!device.id.empty() && !ids.insert(device.id).second)
        complain(path + ".id", "there are two devices \"" + device.id + "\"");
      if (!device.uuid.empty() && !uuids.insert(device.uuid).second)
        complain(path + ".uuid", "two devices have this UUID");
      if (device.index && !indices.insert(*device.index).second)
        complain(path + ".index", "two devices have the index " + std::to_string(*device.index));
      if (device.index && !device.uuid.empty())
        complain(path + ".uuid", "choose by index or by uuid, not by both");
    }
  }

  void bindings(const ConsumerConfig& consumer, const std::string& path) {
    if (!is_name(consumer.name))
      complain(path, "\"" + consumer.name + "\" is no name: use letters, digits, dot, dash and underscore");
    if (consumer.exclusive && consumer.turnless)
      complain(path + ".turnless", "a consumer that needs no turn can't be exclusive");
    if (!consumer.device.empty()) names_a_device(consumer.device, path + ".device");
    for (const std::string& device : consumer.devices) names_a_device(device, path + ".devices");
    if (!consumer.device.empty() && !consumer.devices.empty())
      complain(path + ".devices", "say device or devices, not both");
    if (std::set(consumer.devices.begin(), consumer.devices.end()).size() != consumer.devices.size())
      complain(path + ".devices", "names a device twice");
    if (!consumer.split.empty() &&
        (consumer.split.size() != consumer.devices.size() || consumer.split.size() < 2))
      complain(path + ".split", "needs one number for each of its devices, two at least");
  }

  void names_a_device(const std::string& device, const std::string& path) {
    if (config_.devices.empty()) return;  // the driver's, known only later
    std::vector<std::string> ids;
    for (const DeviceConfig& one : config_.devices) ids.push_back(one.id);
    if (std::ranges::find(ids, device) == ids.end())
      complain(path, "there is no device \"" + device + "\"" + perhaps(device, ids));
  }

  void followers(const ConsumerConfig& consumer, const std::string& path) {
    std::vector<std::string> names;
    for (const ConsumerConfig& one : config_.consumers) names.push_back(one.name);
    for (const std::string& follower : consumer.followed_by) {
      if (follower == consumer.name)
        complain(path + ".followed_by", "a consumer does not follow itself");
      else if (std::ranges::find(names, follower) == names.end())
        complain(path + ".followed_by",
                 "there is no consumer \"" + follower + "\"" + perhaps(follower, names));
    }
  }

  // Complains if the key is there and says something about the service. `park: cuda-checkpoint` does not.
  void refuse_key(const ConsumerConfig& consumer, const std::string& path, const std::string& key,
                  std::string what) {
    if (key == "park" && consumer.park_by == ParkBy::cuda_checkpoint) return;
    const std::string at = path + "." + key;
    if (marks_.contains(at)) complain(at, std::move(what));
  }

  void needs_service(const ConsumerConfig& consumer, const std::string& path) {
    std::vector<std::string> keys = keys_of_some_services();
    keys.insert(keys.end(), {"health", "free_paths", "ai_models", "api_key_env", "api_key_file"});
    for (const std::string& key : keys)
      refuse_key(consumer, path, key, "has no meaning without a service (generic, ollama, ...)");
    if (consumer.park_by == ParkBy::cuda_checkpoint && !consumer.process)
      complain(path + ".park", "has no meaning without a service or a runner: there is no process to park");
  }

  void service(const ConsumerConfig& consumer, const std::string& path) {
    const ServiceConfig& service = consumer.service;
    const bool chosen_port = service.url.find(kPort) != std::string::npos;
    if (service.url.empty())
      complain(path + ".url", "is missing: where does the service listen? (http://127.0.0.1:9001)");
    else if (const auto fault = url_fault(service.url, facts_of(service.type).scheme))
      complain(path + ".url", *fault);
    else if (chosen_port && !wants_port(consumer))
      complain(path + ".url",
               "${PORT} is only known where the command of runner.process, or the command or ports of "
               "runner.container have ${PORT}, too");
    const std::string name(service_name(service.type));
    for (const std::string& key : keys_of_some_services())
      if (!takes_key(service.type, key))
        refuse_key(consumer, path, key, "is for service " + services_that_take(key) + ", not for " + name);
    if (facts_of(service.type).health.empty() && !service.health.empty())
      complain(path + ".health", "has no meaning for " + name + ", which is not asked over HTTP");
    if (!service.api_key_env.empty() && !service.api_key_file.empty())
      complain(path + ".api_key_file", "name the key by api_key_env or by api_key_file, not by both");
    for (const std::string& tag : service.memory_tags)
      if (tag != "weights" && tag != "kv_cache" && tag != "cuda_graph")
        complain(path + ".memory_tags", "\"" + tag + "\" is not one of weights, kv_cache, cuda_graph");
    if (service.busy && !service.busy->pointer.empty() && !service.busy->pointer.starts_with('/'))
      complain(path + ".busy.pointer", "a JSON pointer starts with / (/exec_info/queue_remaining)");
    for (const std::string& free_path : service.free_paths)
      if (!free_path.starts_with('/'))
        complain(path + ".free_paths", "\"" + free_path + "\" does not start with /");
  }

  void runner(const ConsumerConfig& consumer, const std::string& path) {
    std::vector<std::string> named;
    for (const char* key : {"process", "systemd", "container"})
      if (marks_.contains(path + "." + key)) named.emplace_back(key);
    if (named.size() > 1) complain(path, "there can be only one: " + named[0] + " or " + named[1]);
    if (consumer.process) process(*consumer.process, path + ".process");
    if (consumer.systemd) systemd(*consumer.systemd, path + ".systemd");
    if (marks_.contains(path + ".container"))
      container(consumer.container.value_or(ContainerConfig{}), path + ".container");
  }

  void systemd(const SystemdConfig& systemd, const std::string& path) {
    if (!systemd.unit.empty() && !systemd.unit.contains('.'))
      complain(path + ".unit", "needs its ending: " + systemd.unit + ".service");
  }

  void container(const ContainerConfig& container, const std::string& path) {
    if (container.name.empty() == container.image.empty())
      return complain(path, "needs either the name of a container that exists, or an image to make one of");
    if (!container.name.empty()) {
      if (!is_name(container.name))
        complain(path + ".name", "\"" + container.name + "\" is no container's name");
      for (const char* key : {"command", "env", "ports", "gpus", "volumes", "network", "shm_size"})
        if (marks_.contains(path + "." + key))
          complain(path + "." + key, "is for a container that we make (image); one that exists has its own");
    }
    if (!container.socket.empty() && !container.socket.starts_with('/'))
      complain(path + ".socket", "is a path (/run/podman/podman.sock)");
    for (const std::string& port : container.ports)
      if (!is_published_port(port))
        complain(path + ".ports", "\"" + port + "\" publishes no port: write 127.0.0.1:${PORT}:8000");
  }

  void process(const ProcessConfig& process, const std::string& path) {
    if (look_for_files_)
      for (MissingFile& missing : missing_files(process))
        complain(path + "." + missing.key, std::move(missing.what));
    if (signal_number(process.stop_signal)) return;
    complain(path + ".stop_signal",
             "unknown signal \"" + process.stop_signal + "\"" + perhaps(process.stop_signal, signal_names()));
  }

  const Config& config_;
  const Marks& marks_;
  const std::string& file_;
  const bool look_for_files_;
  std::vector<Complaint> complaints_;
};

// What the service's facts say and the file need not.
void add_what_belongs_to_it(ServiceConfig& service, bool paths_are_named) {
  const ServiceFacts& facts = facts_of(service.type);
  if (service.health.empty()) service.health = facts.health;
  if (!paths_are_named) service.free_paths = {facts.free_paths.begin(), facts.free_paths.end()};
}

}  // namespace

bool is_external(const ConsumerConfig& consumer) {
  return !consumer.process && !consumer.systemd && !consumer.container;
}

std::string made_container_name(const std::string& consumer) { return "mgpu-" + consumer; }

bool wants_port(const ContainerConfig& container) {
  return std::ranges::any_of(container.command, has_port) || std::ranges::any_of(container.ports, has_port);
}

void complete(Config& config, const Marks& marks) {
  for (ConsumerConfig& consumer : config.consumers) {
    if (consumer.process) name_free_port(consumer.process->command);
    const bool own_port = wants_port(consumer);
    const bool said = marks.contains("consumers." + consumer.name + ".service");
    if (!said && (own_port || !consumer.service.url.empty())) consumer.service.type = ServiceType::generic;
    if (consumer.service.type != ServiceType::none && consumer.service.url.empty() && own_port)
      consumer.service.url =
          std::string(facts_of(consumer.service.type).scheme) + "127.0.0.1:" + kPort.data();
    add_what_belongs_to_it(consumer.service, marks.contains("consumers." + consumer.name + ".free_paths"));
  }
}

std::vector<Complaint> check(const Config& config, const Marks& marks, const std::string& file,
                             bool look_for_files) {
  return Checks(config, marks, file, look_for_files).all();
}

}  // namespace mgpu::config
