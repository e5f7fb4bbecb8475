#include "runner/container_api.h"

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include "runner/port.h"
#include "runner/visible_devices.h"

namespace mgpu::runner {

namespace asio = boost::asio;
using nlohmann::json;

namespace {

constexpr Duration kRequestLimit{10'000'000};  // of requests that wait for no process
constexpr Duration kStopSlack{10'000'000};     // on top of the grace: the engine cleans up before it responds
constexpr Bytes kMaxResponse = kMiB * 8;
constexpr std::string_view kUnixScheme = "unix://";

// The engine's error text is the member "message".
std::string error_message(const std::string& body) {
  const json parsed = json::parse(body, nullptr, false);
  if (parsed.is_object() && parsed.contains("message") && parsed["message"].is_string())
    return parsed["message"].get<std::string>();
  return body.substr(0, 300);
}

std::string percent_encode(std::string_view text) {
  std::string encoded;
  for (const char c : text) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
    encoded += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return encoded;
}

// Empty unless all devices are requested by their UUIDs.
std::vector<std::string> requested_uuids(const json& host_config) {
  std::vector<std::string> uuids;
  const auto requests = host_config.find("DeviceRequests");
  if (requests == host_config.end() || !requests->is_array()) return uuids;
  for (const json& request : *requests) {
    const auto ids = request.find("DeviceIDs");
    if (ids == request.end() || !ids->is_array()) return {};
    for (const json& id : *ids) uuids.push_back(id.is_string() ? id.get<std::string>() : "");
  }
  return std::ranges::all_of(uuids, is_nvidia_uuid) ? uuids : std::vector<std::string>{};
}

std::optional<ContainerFacts> parse_container_facts(const json& inspected) {
  try {
    const json& state = inspected.at("State");
    ContainerFacts facts{.id = inspected.at("Id").get<std::string>(),
                         .running = state.value("Running", false),
                         .paused = state.value("Paused", false)};
    facts.running = facts.running || facts.paused;  // Podman reports a paused container as not running
    if (const int pid = state.value("Pid", 0); facts.running && pid > 0) facts.pid = pid;
    if (!facts.running) facts.exit = state.value("ExitCode", 0);
    const json config = inspected.value("Config", json::object());
    facts.tty = config.value("Tty", false);
    if (const auto labels = config.find("Labels"); labels != config.end() && labels->is_object())
      facts.labels = labels->get<std::map<std::string, std::string>>();
    facts.device_uuids = requested_uuids(inspected.value("HostConfig", json::object()));
    return facts;
  } catch (const json::exception&) {  // thrown where a value has another type
    return std::nullopt;
  }
}

std::string env_or_empty(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

struct ContainerApi::Reply {
  std::string request{};  // "GET /containers/json"
  int status = 0;
  std::string body{};

  bool is_success() const { return status < 400; }
  Error refusal() const {
    return {ErrorCode::load_failed,
            fmt::format("{} was answered with {}: {}", request, status, error_message(body))};
  }
};

std::vector<std::string> ContainerApi::sockets(const config::ContainerConfig& config) {
  if (!config.socket.empty()) return {config.socket};
  std::vector<std::string> all;
  if (const std::string host = env_or_empty("DOCKER_HOST"); host.starts_with(kUnixScheme))
    all.push_back(host.substr(kUnixScheme.size()));
  const std::string runtime_dir = env_or_empty("XDG_RUNTIME_DIR");
  all.emplace_back("/var/run/docker.sock");
  if (!runtime_dir.empty()) all.push_back(runtime_dir + "/docker.sock");
  all.emplace_back("/run/podman/podman.sock");
  if (!runtime_dir.empty()) all.push_back(runtime_dir + "/podman/podman.sock");
  return all;
}

asio::awaitable<Result<std::unique_ptr<ContainerApi>>> ContainerApi::connect(
    asio::any_io_executor executor, const config::ContainerConfig& config) {
  std::string tried;
  for (const std::string& socket : sockets(config)) {
    auto api = std::make_unique<ContainerApi>(executor, socket);
    const auto answer = co_await api->send_request("GET", "/_ping", "", kRequestLimit);
    if (answer && answer->status == 200) co_return std::move(api);
    tried += "\n" + (answer ? answer->refusal().detail : answer.error().detail);
  }
  co_return fail(
      ErrorCode::service_down,
      "no container engine answers; set runner.container.socket where it listens elsewhere. Tried:" + tried);
}

ContainerApi::ContainerApi(asio::any_io_executor executor, std::string socket)
    : socket_(std::move(socket)), client_(std::move(executor), {.max_idle_per_host = 0}) {}

asio::awaitable<Result<ContainerApi::Reply>> ContainerApi::send_request(std::string method,
                                                                        std::string target, std::string body,
                                                                        Duration limit) {
  Reply reply{.request = method + " " + target};
  http::Endpoint endpoint = http::unix_endpoint(socket_);
  http::RequestHead head{.method = std::move(method), .target = std::move(target)};
  if (!body.empty()) head.headers.emplace_back("Content-Type", "application/json");
  auto answer = co_await http::fetch(client_, std::move(endpoint), std::move(head), std::move(body), limit,
                                     kMaxResponse);
  if (!answer) co_return fail(ErrorCode::service_down, reply.request + ": " + answer.error().detail);
  reply.status = answer->head.status;
  reply.body = std::move(answer->body);
  co_return reply;
}

asio::awaitable<Result<std::optional<ContainerFacts>>> ContainerApi::inspect(std::string container) {
  std::string target = "/containers/" + container + "/json";
  const auto reply = co_await send_request("GET", std::move(target), "", kRequestLimit);
  if (!reply) co_return std::unexpected(reply.error());
  if (reply->status == 404) co_return std::optional<ContainerFacts>{};
  if (!reply->is_success()) co_return std::unexpected(reply->refusal());
  auto facts = parse_container_facts(json::parse(reply->body, nullptr, false));
  if (!facts)
    co_return fail(ErrorCode::load_failed, reply->request + ": the answer is not a container's description");
  co_return facts;
}

asio::awaitable<Result<std::vector<std::string>>> ContainerApi::list_by_label(std::string label) {
  const json filters{{"label", json::array({std::move(label)})}};
  std::string target = "/containers/json?all=1&filters=" + percent_encode(filters.dump());
  const auto reply = co_await send_request("GET", std::move(target), "", kRequestLimit);
  if (!reply) co_return std::unexpected(reply.error());
  if (!reply->is_success()) co_return std::unexpected(reply->refusal());
  std::vector<std::string> ids;
  const json listed = json::parse(reply->body, nullptr, false);
  for (const json& one : listed)
    if (one.is_object() && one.contains("Id") && one["Id"].is_string())
      ids.push_back(one["Id"].get<std::string>());
  co_return ids;
}

asio::awaitable<Result<std::string>> ContainerApi::create(std::string name, json body) {
  std::string target = "/containers/create?name=" + name;
  std::string text = body.dump();
  const auto reply = co_await send_request("POST", std::move(target), std::move(text), kRequestLimit);
  if (!reply) co_return std::unexpected(reply.error());
  if (!reply->is_success()) co_return std::unexpected(reply->refusal());
  const json created = json::parse(reply->body, nullptr, false);
  if (!created.is_object() || !created.contains("Id") || !created["Id"].is_string())
    co_return fail(ErrorCode::load_failed, reply->request + ": the answer has no Id");
  co_return created["Id"].get<std::string>();
}

asio::awaitable<Result<void>> ContainerApi::remove(std::string container) {
  std::string target = "/containers/" + container + "?force=1";
  const auto reply = co_await send_request("DELETE", std::move(target), "", kRequestLimit);
  if (!reply) co_return std::unexpected(reply.error());
  if (!reply->is_success() && reply->status != 404) co_return std::unexpected(reply->refusal());
  co_return Result<void>{};
}

asio::awaitable<Result<void>> ContainerApi::post_action(std::string container, std::string verb,
                                                        Duration limit) {
  std::string target = "/containers/" + container + "/" + verb;
  const auto reply = co_await send_request("POST", std::move(target), "", limit);
  if (!reply) co_return std::unexpected(reply.error());
  if (!reply->is_success()) co_return std::unexpected(reply->refusal());
  co_return Result<void>{};
}

asio::awaitable<Result<void>> ContainerApi::start(std::string container, Duration limit) {
  co_return co_await post_action(std::move(container), "start", limit);
}

asio::awaitable<Result<void>> ContainerApi::stop(std::string container, Duration grace) {
  std::string verb = fmt::format("stop?t={}", std::chrono::ceil<std::chrono::seconds>(grace).count());
  const Duration limit = grace + kStopSlack;
  co_return co_await post_action(std::move(container), std::move(verb), limit);
}

asio::awaitable<Result<void>> ContainerApi::kill(std::string container) {
  co_return co_await post_action(std::move(container), "kill?signal=SIGKILL", kRequestLimit);
}

asio::awaitable<Result<void>> ContainerApi::pause(std::string container) {
  co_return co_await post_action(std::move(container), "pause", kRequestLimit);
}

asio::awaitable<Result<void>> ContainerApi::unpause(std::string container) {
  co_return co_await post_action(std::move(container), "unpause", kRequestLimit);
}

ContainerApi::StreamingRequest ContainerApi::wait(std::string container) {
  std::string target = "/containers/" + container + "/wait?condition=not-running";
  return open_request("POST", std::move(target));
}

ContainerApi::StreamingRequest ContainerApi::follow_output(std::string container, std::size_t last_lines) {
  std::string target =
      fmt::format("/containers/{}/logs?follow=1&stdout=1&stderr=1&tail={}", container, last_lines);
  return open_request("GET", std::move(target));
}

ContainerApi::StreamingRequest ContainerApi::open_request(std::string method, std::string target) {
  http::Endpoint endpoint = http::unix_endpoint(socket_);
  http::RequestHead head{.method = std::move(method), .target = std::move(target)};
  auto request = co_await client_.open(std::move(endpoint), std::move(head));
  if (!request) co_return std::unexpected(request.error());
  const auto sent = co_await (*request)->end_body();
  if (!sent) co_return std::unexpected(sent.error());
  co_return request;
}

std::optional<int> parse_exit_code(const std::string& answer) {
  const json parsed = json::parse(answer, nullptr, false);
  if (!parsed.is_object()) return std::nullopt;
  const auto code = parsed.find("StatusCode");
  if (code == parsed.end() || !code->is_number_integer()) return std::nullopt;
  return code->get<int>();
}

std::string OutputFrameDecoder::decode(std::string_view piece) {
  constexpr std::size_t kHeaderSize = 8;
  std::string text;
  while (!piece.empty()) {
    if (payload_left_ > 0) {
      const std::size_t count = std::min(payload_left_, piece.size());
      text += piece.substr(0, count);
      piece.remove_prefix(count);
      payload_left_ -= count;
      continue;
    }
    const std::size_t count = std::min(kHeaderSize - header_.size(), piece.size());
    header_ += piece.substr(0, count);
    piece.remove_prefix(count);
    if (header_.size() < kHeaderSize) break;
    for (std::size_t i = 4; i < kHeaderSize; ++i)
      payload_left_ = payload_left_ << 8 | static_cast<unsigned char>(header_[i]);
    header_.clear();
  }
  return text;
}

namespace {

// "127.0.0.1:8000:80/tcp", "8000:80" and "80" as address and port of the host, and port of the container.
struct PortMapping {
  std::string host_ip{};
  std::string host_port{};
  std::string container_port{};  // with its protocol
};

PortMapping parse_port_mapping(const std::string& port) {
  PortMapping result{.container_port = port};
  if (const auto colon = port.rfind(':'); colon != std::string::npos) {
    result.container_port = port.substr(colon + 1);
    result.host_port = port.substr(0, colon);
  }
  if (const auto colon = result.host_port.rfind(':'); colon != std::string::npos) {
    result.host_ip = result.host_port.substr(0, colon);
    result.host_port.erase(0, colon + 1);
    std::erase_if(result.host_ip, [](char c) { return c == '[' || c == ']'; });  // [::1]
  }
  if (!result.container_port.contains('/')) result.container_port += "/tcp";
  return result;
}

// From "all", "0", "GPU-8f6d..." or "nvidia.com/gpu=all" (a name of the Container Device Interface).
json device_requests(const std::vector<std::string>& gpus) {
  if (gpus.empty()) return json::array();
  const json capabilities = json::array({json::array({"gpu"})});
  if (gpus.front() == "all")
    return json::array({{{"Driver", "nvidia"}, {"Count", -1}, {"Capabilities", capabilities}}});
  if (gpus.front().contains('=')) return json::array({{{"Driver", "cdi"}, {"DeviceIDs", gpus}}});
  return json::array({{{"Driver", "nvidia"}, {"DeviceIDs", gpus}, {"Capabilities", capabilities}}});
}

bool are_nvidia(const std::vector<std::string>& uuids) {
  return !uuids.empty() && std::ranges::all_of(uuids, is_nvidia_uuid);
}

// NVIDIA's devices are given by requests. Without a request the engine's default runtime may be NVIDIA's,
// which reads a variable of its own. Other vendors' devices are chosen by the same variables as elsewhere.
std::map<std::string, std::string> container_variables(const config::ContainerConfig& config,
                                                       const DeviceBinding& devices) {
  std::map<std::string, std::string> variables = config.env;
  if (are_nvidia(devices.uuids)) {
    if (config.gpus.empty())
      variables.emplace("NVIDIA_VISIBLE_DEVICES", fmt::format("{}", fmt::join(devices.uuids, ",")));
    return variables;
  }
  variables.insert(devices.variables.begin(), devices.variables.end());
  return variables;
}

}  // namespace

json creation_body(const std::string& consumer, const config::ContainerConfig& config,
                   std::optional<std::uint16_t> port, const DeviceBinding& devices) {
  const auto fill_port = [&](const std::string& text) { return port ? with_port(text, *port) : text; };
  json body{{"Image", config.image}, {"Labels", {{kConsumerLabel, consumer}}}};
  if (port) body["Labels"][kPortLabel] = std::to_string(*port);
  for (const std::string& word : config.command) body["Cmd"].push_back(fill_port(word));
  for (const auto& [name, value] : container_variables(config, devices))
    body["Env"].push_back(name + "=" + fill_port(value));
  const bool restricts_all = config.gpus == std::vector<std::string>{"all"} && are_nvidia(devices.uuids);
  json host{{"DeviceRequests", device_requests(restricts_all ? devices.uuids : config.gpus)}};
  for (const std::string& volume : config.volumes) host["Binds"].push_back(volume);
  for (const std::string& port_entry : config.ports) {
    const PortMapping mapping = parse_port_mapping(fill_port(port_entry));
    body["ExposedPorts"][mapping.container_port] = json::object();
    host["PortBindings"][mapping.container_port].push_back(
        {{"HostIp", mapping.host_ip}, {"HostPort", mapping.host_port}});
  }
  if (!config.network.empty()) host["NetworkMode"] = config.network;
  if (config.shm_size > Bytes{}) host["ShmSize"] = config.shm_size.count;
  body["HostConfig"] = std::move(host);
  return body;
}

}  // namespace mgpu::runner
