// What a command line asks an inference server for, as far as memory follows from it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace mgpu::estimate {

struct Asked {
  std::vector<std::string> files{};           // its weights: -m, --model, --model-path
  std::optional<std::uint64_t> context{};     // -c, --ctx-size; none or 0: as the file says
  std::optional<std::uint64_t> gpu_layers{};  // -ngl, --n-gpu-layers; none: all
  std::uint64_t batch = 512;                  // -ub, --ubatch-size
  std::uint64_t slots = 1;                    // -np, --parallel
  double key_bytes = 2;                       // of one number in the cache: --cache-type-k
  double value_bytes = 2;
};

// Words that it does not know, or numbers that are none, change nothing.
Asked asked_by(const std::vector<std::string>& command);

}  // namespace mgpu::estimate
