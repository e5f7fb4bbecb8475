// What is known about an AI model without loading it: from the files of its application, or from the
// application itself.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace mgpu {

struct AiModelFacts {
  std::string name{};            // as its service names it
  std::string digest{};          // names one version of it, hexadecimal; empty: unknown
  Bytes size{};                  // of its files; 0: unknown
  std::int64_t modified_ms = 0;  // Unix time of its last change; 0: unknown
  std::string format{};          // "gguf". This and the rest are for display; empty: unknown
  std::string family{};          // "llama"
  std::vector<std::string> families{};
  std::string parameter_size{};  // "3.2B"
  std::string quantization{};    // "Q4_K_M"
  // Identifies its weights: names of one service with the same weights are loaded once. Empty: unknown.
  std::string weights{};
  friend bool operator==(const AiModelFacts&, const AiModelFacts&) = default;
};

}  // namespace mgpu
