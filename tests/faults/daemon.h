// The real `mgpu serve`, with a simulated GPU and one external consumer for each lane.
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

struct Vitals {
  std::size_t descriptors = 0;
  std::size_t rss_kib = 0;
};

class Daemon {
 public:
  // Consumers by name and the port of their service. Throws std::runtime_error if it does not get ready.
  Daemon(std::filesystem::path program, std::filesystem::path folder,
         const std::vector<std::pair<std::string, std::uint16_t>>& consumers);
  ~Daemon();
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;

  std::uint16_t port() const { return port_; }
  bool alive();
  Vitals vitals() const;
  std::string last_words(std::size_t bytes = 6000) const;  // the end of its log
  std::string ending() const { return ending_; }           // how it died
  bool stop();                                             // SIGTERM; whether it ended in order

 private:
  std::filesystem::path folder_;
  pid_t pid_ = -1;
  int out_ = -1;
  std::uint16_t port_ = 0;
  std::string ending_;
};

}  // namespace mgpu::faults
