// The one table of configuration keys. Parser, defaults, `mgpu config show`, docs/config.md and the JSON
// schema are all made from its rows; a new key is a field in config.h and a row in keys.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/value.h"

namespace mgpu::config {

// Where values go: the whole config, and the device or consumer that is being read (else null).
struct KeyContext {
  Config* config = nullptr;
  DeviceConfig* device = nullptr;
  ConsumerConfig* consumer = nullptr;
};

struct Key {
  std::string path{};  // "gpu.library", "devices[].id", "consumers.*.runner.process.command"
  ValueType type{};
  std::string description{};  // one sentence
  std::string example{};
  std::string fallback{};  // what happens where there is no fixed default: "the first device"
  bool required = false;
  std::function<ReadResult(const YAML::Node&, KeyContext)> read{};
  std::function<std::optional<YAML::Node>(KeyContext)> write{};  // nullopt: not set, nothing to show
};

// All rows, in the order of the reference page.
const std::vector<Key>& keys();

// The row with this path; null if there is none (a group such as "gpu", or no key at all).
const Key* find_key(std::string_view path);

// The names that may stand in the mapping at `path` ("" is the top): "gpu" -> library, sample_busy,
// sample_idle.
std::vector<std::string> child_names(std::string_view path);

// "gpu" + "library"; "" + "gpu".
std::string join_path(std::string_view path, std::string_view name);

}  // namespace mgpu::config
