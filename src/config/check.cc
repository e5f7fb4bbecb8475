#include "config/check.h"

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>

#include "config/addresses.h"
#include "config/conflicts.h"
#include "config/missing_files.h"
#include "config/services.h"
#include "config/signals.h"
#include "config/spelling.h"
#include "config/variables.h"

namespace mgpu::config {
namespace {

// "POST", "/render*" or "GET /render*".
bool is_turn_entry(std::string_view text) {
  constexpr std::string_view kUpperCase = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  const std::size_t method_end = std::min(text.find_first_not_of(kUpperCase), text.size());
  const std::string_view rest = text.substr(method_end);
  if (rest.empty()) return method_end > 0;
  const std::string_view path = rest.substr(std::min(rest.find_first_not_of(' '), rest.size()));
  const bool is_separated = method_end == 0 || rest.front() == ' ';
  return is_separated && path.starts_with('/') && !path.contains(' ');
}

bool has_port_placeholder(const std::string& text) { return text.contains(kPortPlaceholder); }

bool has_port_placeholder(const std::map<std::string, std::string>& env) {
  return std::ranges::any_of(env, [](const auto& entry) { return has_port_placeholder(entry.second); });
}

bool needs_free_port(const ProcessConfig& process) {
  return std::ranges::any_of(process.command,
                             [](const std::string& word) { return has_port_placeholder(word); }) ||
         has_port_placeholder(process.env);
}

// Whether the runner chooses a port that the consumer's URL can refer to as ${PORT}.
bool needs_free_port(const ConsumerConfig& consumer) {
  return (consumer.process && needs_free_port(*consumer.process)) ||
         (consumer.container && needs_free_port(*consumer.container));
}

// A port argument of 0 also asks for a free port. It becomes ${PORT}, so that later code has one notation to
// look for.
void replace_zero_port(std::vector<std::string>& command) {
  for (std::size_t i = 1; i < command.size(); ++i) {
    if (command[i] == "0" && command[i - 1].ends_with("port")) command[i] = kPortPlaceholder;
    if (command[i].ends_with("port=0")) command[i].replace(command[i].size() - 1, 1, kPortPlaceholder);
  }
}

constexpr std::string_view kNameRule = "use 1 to 64 letters, digits, dots, dashes and underscores";

bool is_valid_name(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  return !text.empty() && text.size() <= 64 && text.find_first_not_of(kLetters) == std::string_view::npos;
}

// The end of a diagnostic about an unknown name: the nearest known one; empty if none is near.
std::string spelling_suggestion(const std::string& name, const std::vector<std::string>& known) {
  const std::string suggestion = closest_match(name, known);
  return suggestion.empty() ? "" : ", did you mean \"" + suggestion + "\"?";
}

// Runs all checks on one configuration and collects their diagnostics.
class ConfigChecker {
 public:
  ConfigChecker(const Config& config, const SourceMarks& marks, const std::string& file, bool check_files)
      : config_(config), marks_(marks), file_(file), check_files_(check_files) {}

  std::vector<Diagnostic> run() {
    check_listen_address();
    check_top_level();
    check_devices();
    for (const ConsumerConfig& consumer : config_.consumers) {
      const std::string path = "consumers." + consumer.name;
      check_placement(consumer, path);
      check_followers(consumer, path);
      if (consumer.service.type == ServiceType::none)
        reject_service_keys(consumer, path);
      else
        check_service(consumer, path);
      check_runner(consumer, path + ".runner");
    }
    for (Conflict& conflict : find_conflicts(config_.consumers))
      report(conflict.path, std::move(conflict.message));
    return std::move(diagnostics_);
  }

 private:
  // Adds a diagnostic at the position of `path` or, if the file lacks that key, of the nearest mapping around
  // it.
  void report(const std::string& path, std::string message) {
    std::string marked_path = path;
    while (!marks_.contains(marked_path) && marked_path.find('.') != std::string::npos)
      marked_path.resize(marked_path.rfind('.'));
    Diagnostic diagnostic{.file = file_, .key = path, .message = std::move(message)};
    if (const auto mark = marks_.find(marked_path); mark != marks_.end())
      diagnostic.line = mark->second.line, diagnostic.column = mark->second.column;
    diagnostics_.push_back(std::move(diagnostic));
  }

  void check_listen_address() {
    if (const auto problem = listen_problem(config_.listen)) report("listen", *problem);
  }

  void check_top_level() {
    for (const std::string& program : config_.yield_to)
      if (program.contains('/'))
        report("yield_to", in_quotes(program) + " is a path: write the program's file name, " +
                               program.substr(program.rfind('/') + 1));
    for (const std::string& host : config_.hosts)
      if (host.find_first_of("/: ") != std::string::npos)
        report("hosts", in_quotes(host) + " is not the name of a host: it has no scheme, port or path");
    for (const std::string& origin : config_.origins)
      if (const auto problem = origin_problem(origin)) report("origins", *problem);
    if (config_.gpu.sample_busy > config_.gpu.sample_idle)
      report(marks_.contains("gpu.sample_busy") ? "gpu.sample_busy" : "gpu.sample_idle",
             "sample_busy is longer than sample_idle: it is the interval while something changes");
  }

  void check_devices() {
    std::set<std::string> ids;
    std::set<std::string> uuids;
    std::set<std::uint32_t> indices;
    for (std::size_t i = 0; i < config_.devices.size(); ++i) {
      const DeviceConfig& device = config_.devices[i];
      const std::string path = "devices[" + std::to_string(i) + "]";
      if (!device.id.empty() && !is_valid_name(device.id))
        report(path + ".id", "\"" + device.id + "\" is not a valid name: " + std::string(kNameRule));
      if (!device.id.empty() && !ids.insert(device.id).second)
        report(path + ".id", "two devices have the id \"" + device.id + "\": give each its own");
      if (!device.uuid.empty() && !uuids.insert(device.uuid).second)
        report(path + ".uuid", "two devices have the UUID " + device.uuid);
      if (device.index && !indices.insert(*device.index).second)
        report(path + ".index", "two devices have the index " + std::to_string(*device.index));
      if (device.index && !device.uuid.empty())
        report(path + ".uuid", "the device has an index and a uuid: remove one of them");
    }
  }

  void check_placement(const ConsumerConfig& consumer, const std::string& path) {
    if (!is_valid_name(consumer.name))
      report(path, "\"" + consumer.name + "\" is not a valid name: " + std::string(kNameRule));
    else if (consumer.name.find_first_not_of('.') == std::string::npos)
      report(path, "\"" + consumer.name + "\" is not a valid name: no URL can contain it");
    if (consumer.exclusive && consumer.turnless)
      report(path + ".turnless", "turnless and exclusive contradict each other: remove one of them");
    if (!consumer.device.empty()) check_device_id(consumer.device, path + ".device");
    for (const std::string& device : consumer.devices) check_device_id(device, path + ".devices");
    if (!consumer.device.empty() && !consumer.devices.empty())
      report(path + ".devices", "the consumer has device and devices: remove one of them");
    if (!consumer.split.empty() &&
        (consumer.split.size() != consumer.devices.size() || consumer.split.size() < 2))
      report(path + ".split", "has " + std::to_string(consumer.split.size()) + " numbers for " +
                                  std::to_string(consumer.devices.size()) +
                                  " devices: it needs one number for each device, and two devices at least");
  }

  void check_device_id(const std::string& device, const std::string& path) {
    if (!is_valid_name(device))
      return report(path, in_quotes(device) + " is not a valid name: " + std::string(kNameRule));
    if (config_.devices.empty()) return;  // the driver's devices are used; they are not known here
    std::vector<std::string> ids;
    for (const DeviceConfig& one : config_.devices) ids.push_back(one.id);
    if (std::ranges::find(ids, device) == ids.end())
      report(path, "there is no device \"" + device + "\"" + spelling_suggestion(device, ids));
  }

  void check_followers(const ConsumerConfig& consumer, const std::string& path) {
    std::vector<std::string> names;
    for (const ConsumerConfig& one : config_.consumers) names.push_back(one.name);
    for (const std::string& follower : consumer.followed_by) {
      if (follower == consumer.name)
        report(path + ".followed_by", "a consumer can't follow itself: remove \"" + follower + "\"");
      else if (std::ranges::find(names, follower) == names.end())
        report(path + ".followed_by",
               "there is no consumer \"" + follower + "\"" + spelling_suggestion(follower, names));
    }
  }

  // Reports the key if the file has it. `park: cuda-checkpoint` is accepted: it does not concern the service.
  void reject_key(const ConsumerConfig& consumer, const std::string& path, const std::string& key,
                  std::string message) {
    if (key == "park" && consumer.park_method == ParkMethod::cuda_checkpoint) return;
    const std::string key_path = path + "." + key;
    if (marks_.contains(key_path)) report(key_path, std::move(message));
  }

  void reject_service_keys(const ConsumerConfig& consumer, const std::string& path) {
    std::vector<std::string> keys = service_specific_keys();
    keys.insert(keys.end(), {"health", "free_paths", "turn_for", "ai_models", "api_key_env", "api_key_file"});
    for (const std::string& key : keys)
      reject_key(consumer, path, key,
                 "has no effect without a service: add service (generic, ollama, ...) or remove it");
    if (consumer.park_method == ParkMethod::cuda_checkpoint && !consumer.process)
      report(path + ".park", "cuda-checkpoint has no process to park: add a service or runner.process");
  }

  void check_service(const ConsumerConfig& consumer, const std::string& path) {
    const ServiceConfig& service = consumer.service;
    const bool has_placeholder = service.url.find(kPortPlaceholder) != std::string::npos;
    if (service.url.empty())
      report(path + ".url", "is missing: write where the service listens, such as http://127.0.0.1:9001");
    else if (const auto problem = url_problem(service.url, service_traits(service.type).scheme))
      report(path + ".url", *problem);
    else if (is_own_address(service.url, config_.listen))
      report(path + ".url", in_quotes(service.url) + " is where mgpu itself listens (listen: " +
                                config_.listen + "): write the service's own address");
    else if (has_placeholder && !needs_free_port(consumer))
      report(path + ".url",
             "${PORT} is undefined: use it in the command of runner.process, or in the command or ports of "
             "runner.container, as well");
    const std::string name(service_name(service.type));
    for (const std::string& key : service_specific_keys())
      if (!supports_key(service.type, key))
        reject_key(consumer, path, key,
                   "is for service " + services_supporting(key) + ", not for " + name + ": remove it");
    if (service_traits(service.type).health.empty() && !service.health.empty())
      report(path + ".health",
             "has no effect for " + name + ", whose health is not checked over HTTP: remove it");
    if (!service.api_key_env.empty() && !service.api_key_file.empty())
      report(path + ".api_key_file", "the consumer has api_key_env and api_key_file: remove one of them");
    if (check_files_)
      if (const std::string problem = missing_key_file(service); !problem.empty())
        report(path + ".api_key_file", problem);
    for (const std::string& tag : service.memory_tags)
      if (tag != "weights" && tag != "kv_cache" && tag != "cuda_graph")
        report(path + ".memory_tags", "\"" + tag + "\" is not one of weights, kv_cache, cuda_graph");
    if (service.busy && !service.busy->pointer.empty() && !service.busy->pointer.starts_with('/'))
      report(path + ".busy.pointer",
             "\"" + service.busy->pointer +
                 "\" is not a JSON pointer: it starts with /, as in /exec_info/queue_remaining");
    for (const std::string& free_path : service.free_paths) check_free_path(free_path, path + ".free_paths");
    for (const std::string& entry : service.turn_for)
      if (!is_turn_entry(entry))
        report(path + ".turn_for",
               "\"" + entry + "\" is not a request: write a method, a path or both, such as GET /render/*");
  }

  void check_free_path(const std::string& free_path, const std::string& path) {
    if (!free_path.starts_with('/'))
      report(path, in_quotes(free_path) + " is not a path: it starts with /");
    else if (free_path.find('*') < free_path.size() - 1)
      report(path, in_quotes(free_path) +
                       " has a * that is not at its end: it matches the rest of a path only there");
    else if (free_path.find_first_of(" ?#") != std::string::npos)
      report(path, in_quotes(free_path) + " is not a path: it has no blanks, no ? and no #");
  }

  void check_runner(const ConsumerConfig& consumer, const std::string& path) {
    std::vector<std::string> given_runners;
    for (const char* key : {"process", "systemd", "container"})
      if (marks_.contains(path + "." + key)) given_runners.emplace_back(key);
    if (given_runners.size() > 1)
      report(path, "has " + given_runners[0] + " and " + given_runners[1] +
                       ": a consumer has only one runner, remove the others");
    if (consumer.process) check_process(*consumer.process, path + ".process");
    if (consumer.systemd) check_systemd(*consumer.systemd, path + ".systemd");
    if (marks_.contains(path + ".container"))
      check_container(consumer.container.value_or(ContainerConfig{}), path + ".container");
  }

  void check_systemd(const SystemdConfig& systemd, const std::string& path) {
    if (systemd.unit.empty()) return;  // it is missing
    if (const auto problem = unit_problem(systemd.unit)) report(path + ".unit", *problem);
  }

  void check_container(const ContainerConfig& container, const std::string& path) {
    if (container.name.empty() == container.image.empty())
      return report(path,
                    "needs name (an existing container) or image (to create a container from), and not both");
    if (!container.name.empty()) {
      if (!is_valid_name(container.name))
        report(path + ".name",
               "\"" + container.name + "\" is not a valid container name: " + std::string(kNameRule));
      for (const char* key : {"command", "env", "ports", "gpus", "volumes", "network", "shm_size"})
        if (marks_.contains(path + "." + key))
          report(path + "." + key,
                 "applies only to a container created from image, not to an existing one: remove it");
    }
    if (!container.socket.empty() && !container.socket.starts_with('/'))
      report(path + ".socket",
             "\"" + container.socket + "\" is not an absolute path: write /run/podman/podman.sock");
    for (const std::string& port : container.ports)
      if (const auto problem = port_mapping_problem(port)) report(path + ".ports", *problem);
    for (const std::string& volume : container.volumes)
      if (const auto problem = volume_problem(volume)) report(path + ".volumes", *problem);
    check_gpus(container.gpus, path + ".gpus");
  }

  void check_gpus(const std::vector<std::string>& gpus, const std::string& path) {
    for (const std::string& gpu : gpus) {
      if (gpu.contains(','))
        report(path, in_quotes(gpu) + " names several GPUs: write each as an item of its own");
      if (gpu == "all" && gpus.size() > 1) report(path, "lists all and others: remove the others");
    }
  }

  void check_process(const ProcessConfig& process, const std::string& path) {
    if (const auto port = process.env.find("PORT");
        port != process.env.end() && port->second != kPortPlaceholder && needs_free_port(process))
      report(path + ".env", "PORT is set to the chosen port: remove it, or write \"${PORT}\"");
    if (check_files_)
      for (MissingFile& missing : missing_files(process))
        report(path + "." + missing.key, std::move(missing.message));
    if (signal_number(process.stop_signal)) return;
    const std::string full_name = "SIG" + process.stop_signal;
    report(path + ".stop_signal",
           "unknown signal \"" + process.stop_signal + "\"" +
               (signal_number(full_name) ? ", did you mean \"" + full_name + "\"?"
                                         : spelling_suggestion(process.stop_signal, signal_names())));
  }

  const Config& config_;
  const SourceMarks& marks_;
  const std::string& file_;
  const bool check_files_;
  std::vector<Diagnostic> diagnostics_;
};

// Sets what the file leaves out to the defaults of the service type.
void apply_service_defaults(ServiceConfig& service) {
  if (service.health.empty()) service.health = service_traits(service.type).health;
}

}  // namespace

bool is_external(const ConsumerConfig& consumer) {
  return !consumer.process && !consumer.systemd && !consumer.container;
}

std::string managed_container_name(const std::string& consumer) { return "mgpu-" + consumer; }

bool needs_free_port(const ContainerConfig& container) {
  const auto has_placeholder = [](const std::string& text) { return has_port_placeholder(text); };
  return std::ranges::any_of(container.command, has_placeholder) ||
         std::ranges::any_of(container.ports, has_placeholder) || has_port_placeholder(container.env);
}

void fill_derived_values(Config& config, const SourceMarks& marks) {
  for (ConsumerConfig& consumer : config.consumers) {
    if (consumer.process) replace_zero_port(consumer.process->command);
    const bool has_free_port = needs_free_port(consumer);
    const bool has_service_key = marks.contains("consumers." + consumer.name + ".service");
    if (!has_service_key && (has_free_port || !consumer.service.url.empty()))
      consumer.service.type = ServiceType::generic;
    if (consumer.service.type != ServiceType::none && consumer.service.url.empty() && has_free_port)
      consumer.service.url =
          std::string(service_traits(consumer.service.type).scheme) + "127.0.0.1:" + kPortPlaceholder.data();
    apply_service_defaults(consumer.service);
  }
}

std::vector<Diagnostic> check(const Config& config, const SourceMarks& marks, const std::string& file,
                              bool check_files) {
  return ConfigChecker(config, marks, file, check_files).run();
}

}  // namespace mgpu::config
