#include "tests/gpu/daemon_run.h"

#include <algorithm>
#include <csignal>
#include <fstream>
#include <sstream>
#include <stop_token>
#include <vector>

#include "client/http_connection.h"

namespace mgpu::gpu_check {

using nlohmann::json;

namespace {

constexpr double kStartLimitMs = 30'000;
constexpr double kStopLimitMs = 20'000;

std::string refusals_file(const std::string& folder) { return folder + "/refused.txt"; }

std::string last_lines(const std::string& path, std::size_t count) {
  std::ifstream file(path);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  std::string text;
  for (std::size_t i = lines.size() - std::min(count, lines.size()); i < lines.size(); ++i)
    text += lines[i] + " / ";
  return text;
}

}  // namespace

Result<std::unique_ptr<DaemonRun>> DaemonRun::start(const std::string& folder, const std::string& name,
                                                    const json& config) {
  const std::string config_file = folder + "/" + name + ".json";  // JSON is YAML
  const std::string log = folder + "/" + name + ".log";
  std::ofstream(config_file) << config.dump(1) << "\n";
  auto process = std::make_unique<ChildProcess>(
      std::vector<std::string>{program_folder() + "/mgpu", "serve", "--config", config_file}, log);
  const auto line = process->wait_for_line("listening on http://", kStartLimitMs);
  if (!line) return fail(ErrorCode::unavailable, "the daemon did not start: " + last_lines(log, 5));
  const auto from = line->find("http://");
  std::string url = line->substr(from, line->find_first_of(", ", from) - from);
  return std::unique_ptr<DaemonRun>(new DaemonRun(std::move(process), std::move(url)));
}

DaemonRun::~DaemonRun() { stop(); }

bool DaemonRun::stop() {
  process_->signal(SIGTERM);
  const bool ended = process_->wait(kStopLimitMs);
  process_->kill_and_wait();
  return ended;
}

Reply DaemonRun::request(const std::string& method, const std::string& path, const std::string& body) const {
  const client::HttpRequest request{.method = method, .path = path, .body = body};
  const std::stop_token never;
  auto connection = client::HttpConnection::open(url_, request, never);
  if (!connection) return {.status = 0, .body = connection.failure().detail};
  auto text = connection->read_rest(never);
  if (!text) return {.status = 0, .body = text.failure().detail};
  return {.status = connection->status(), .body = std::move(*text)};
}

json DaemonRun::status() const {
  const Reply reply = request("GET", "/v1/status");
  return json::parse(reply.body, nullptr, false);
}

std::uint64_t DaemonRun::memory(const std::string& key) const {
  const json answer = status();
  if (!answer.is_object() || answer["devices"].empty()) return 0;
  return answer["devices"][0]["memory"].value(key, std::uint64_t{0});
}

std::string DaemonRun::state_of(const std::string& consumer) const {
  const json answer = json::parse(request("GET", "/v1/consumers/" + consumer).body, nullptr, false);
  return answer.is_object() ? answer.value("state", "") : "";
}

std::size_t DaemonRun::count_events(const std::string& name) const {
  std::istringstream events(request("GET", "/v1/events?follow=false").body);
  std::size_t count = 0;
  for (std::string line; std::getline(events, line);) count += line == "event: " + name ? 1 : 0;
  return count;
}

json serve_consumer(const std::string& folder, std::uint64_t bytes, std::uint64_t working, int run_ms,
                    std::uint64_t context) {
  const json command{program_folder() + "/mgpu-gpu-check",
                     "serve",
                     "--port",
                     "${PORT}",
                     "--bytes",
                     std::to_string(bytes),
                     "--working",
                     std::to_string(working),
                     "--run-ms",
                     std::to_string(run_ms),
                     "--refused",
                     refusals_file(folder)};
  return {{"service", "generic"},
          {"footprint", bytes + context},
          {"working", working},
          {"load_limit", "30s"},
          {"runner", {{"process", {{"command", command}}}}}};
}

json daemon_config(const std::string& uuid, json consumers) {
  return {{"listen", "127.0.0.1:0"},
          {"store", "none"},
          {"gpu", {{"provider", "nvml"}}},
          {"devices", json::array({{{"id", "gpu0"}, {"uuid", uuid}, {"reserve", "512MiB"}}})},
          {"consumers", std::move(consumers)},
          {"limits", {{"drain_limit", "2s"}}}};
}

std::size_t count_refusals(const std::string& folder) {
  std::ifstream file(refusals_file(folder));
  return static_cast<std::size_t>(std::count(std::istreambuf_iterator<char>(file), {}, '\n'));
}

}  // namespace mgpu::gpu_check
