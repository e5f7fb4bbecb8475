// Runs `mgpu serve` with a simulated GPU and one external consumer for each lane.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace mgpu::faults {

struct ResourceUsage {
  std::size_t descriptors = 0;
  std::size_t rss_kib = 0;
};

class DaemonProcess {
 public:
  // `consumers`: name and port of the service. Throws std::runtime_error if the daemon does not become ready.
  DaemonProcess(std::filesystem::path program, std::filesystem::path folder,
                const std::vector<std::pair<std::string, std::uint16_t>>& consumers);
  ~DaemonProcess();
  DaemonProcess(const DaemonProcess&) = delete;
  DaemonProcess& operator=(const DaemonProcess&) = delete;

  std::uint16_t port() const { return port_; }
  bool is_alive();
  ResourceUsage resource_usage() const;
  std::string log_tail(std::size_t bytes = 6000) const;     // sanitizer report or end of the log
  std::string exit_reason() const { return exit_reason_; }  // exit code or signal
  bool stop();  // sends SIGTERM; whether it exited with code 0 in time

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  int stdout_fd_ = -1;
  std::uint16_t port_ = 0;
  std::string exit_reason_;
};

}  // namespace mgpu::faults
