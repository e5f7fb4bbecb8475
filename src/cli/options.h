// The parsed arguments of all commands.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace mgpu::cli {

// Arguments of `mgpu serve`.
struct ServeOptions {
  std::string config{};            // path; empty: ./mgpu.yaml, then /etc/mgpu/mgpu.yaml
  std::string listen{};            // host:port; empty: the configuration's
  std::vector<Bytes> simulated{};  // memory of each device to simulate; empty: real devices
};

// Arguments of `mgpu simulate`.
struct SimulateOptions {
  std::string config{};
  std::string trace{};
  std::vector<std::string> policies{};
  std::vector<std::string> settings{};
  std::vector<Bytes> device_memory{};
  std::string footprints{};
  std::string svg{};
  bool json = false;
};

struct Options {
  std::string url{};
  bool json = false;
  bool watch = false;
  bool follow = false;
  bool names = false;
  bool quiet = false;
  std::string consumer{};
  Bytes bytes{};
  std::string device{};
  std::chrono::milliseconds wait_limit{0};
  std::chrono::milliseconds deadline{0};
  std::string priority{};
  std::string user{};
  std::vector<std::string> command{};  // of `mgpu run`, with its arguments
  std::uint64_t ticket = 0;
  std::string shell{};
  ServeOptions serve{};
  SimulateOptions simulate{};
};

}  // namespace mgpu::cli
