// The table of configuration keys. The parser, `mgpu config show`, docs/config.md and the JSON schema are
// made from its rows. A new key is a field in config.h and a row in keys.cc.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/value.h"

namespace mgpu::config {

// The objects that a row reads into and writes from: the config, and the current device or consumer or null.
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
  std::string fallback{};  // the default in words, where it is no constant: "the first device"
  bool required = false;
  bool allows_port = false;  // ${PORT} in it is replaced by the port that the runner chooses
  bool is_command_line =
      false;  // a folded text (>) keeps its lines, so that a # comment ends where it is seen to
  std::function<ReadErrors(const Node&, KeyContext)> read{};
  std::function<std::optional<YAML::Node>(KeyContext)> write{};  // nullopt: not set, so not written
};

// All rows, in the order of the reference page.
const std::vector<Key>& keys();

// The row with this path; null for a group such as "gpu" and for an unknown path.
const Key* find_key(std::string_view path);

// The names allowed in the mapping at `path` ("" is the top level): "gpu" -> provider, library, sample_busy,
// sample_idle.
std::vector<std::string> child_names(std::string_view path);

// "gpu" + "library"; "" + "gpu".
std::string join_path(std::string_view path, std::string_view name);

}  // namespace mgpu::config
