// `mgpu serve` from the folder of this program, started for one step, and asked over HTTP.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "base/result.h"

#include "tests/gpu/child_process.h"

namespace mgpu::gpu_check {

struct Reply {
  int status = 0;  // 0: no answer
  std::string body{};
};

class DaemonRun {
 public:
  // Writes the configuration to `folder`/NAME.json, the daemon's log to NAME.log. Error: unavailable, with
  // the last lines of the log.
  static Result<std::unique_ptr<DaemonRun>> start(const std::string& folder, const std::string& name,
                                                  const nlohmann::json& config);
  ~DaemonRun();

  // Waits for the answer, however long it takes: the step has a limit of its own.
  Reply request(const std::string& method, const std::string& path, const std::string& body = "") const;
  nlohmann::json status() const;  // null where there was no answer
  // The bytes in the status' memory of the first device: "foreign_bytes", "measured_bytes", ...
  std::uint64_t memory(const std::string& key) const;
  std::string state_of(const std::string& consumer) const;
  std::size_t count_events(const std::string& name) const;

  // SIGTERM; the process is killed if it does not end within 20 s. False: it had to be.
  bool stop();

 private:
  DaemonRun(std::unique_ptr<ChildProcess> process, std::string url)
      : process_(std::move(process)), url_(std::move(url)) {}

  std::unique_ptr<ChildProcess> process_;
  std::string url_;
};

// A consumer of the configuration: `serve` as its service. `footprint`: what it will hold, context included.
nlohmann::json serve_consumer(const std::string& folder, std::uint64_t bytes, std::uint64_t working,
                              int run_ms, std::uint64_t context);

// The configuration of the device with this UUID and these consumers.
nlohmann::json daemon_config(const std::string& uuid, nlohmann::json consumers);

// How often a service was refused memory, by the file that they all write.
std::size_t count_refusals(const std::string& folder);

}  // namespace mgpu::gpu_check
