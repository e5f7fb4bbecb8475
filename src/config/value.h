// The types of configuration values: for each, how it is read from YAML, written to YAML, and described on
// the reference page and in the JSON schema.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include "config/config.h"

namespace mgpu::config {

// Why a value was refused, and its position in the text.
struct ValueError {
  YAML::Mark mark{};
  std::string message{};
};
using ReadResult = std::expected<void, ValueError>;

// Inclusive bounds of a number, an amount of memory (bytes) or a duration (microseconds).
struct Range {
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

// Wrappers for values that share a C++ type but are written differently in YAML.
struct Command {
  std::vector<std::string> words{};
};
struct Path {
  std::string text{};  // of a URL: starts with /
};
struct PolicyName {
  std::string text{};
};

ReadResult read(const YAML::Node& node, const Range& range, bool& value);
ReadResult read(const YAML::Node& node, const Range& range, int& value);
ReadResult read(const YAML::Node& node, const Range& range, std::uint32_t& value);
ReadResult read(const YAML::Node& node, const Range& range, Bytes& value);
ReadResult read(const YAML::Node& node, const Range& range, Duration& value);
ReadResult read(const YAML::Node& node, const Range& range, std::string& value);
ReadResult read(const YAML::Node& node, const Range& range, Path& value);
ReadResult read(const YAML::Node& node, const Range& range, PolicyName& value);
ReadResult read(const YAML::Node& node, const Range& range, Command& value);
ReadResult read(const YAML::Node& node, const Range& range, RequestConfig& value);
ReadResult read(const YAML::Node& node, const Range& range, std::vector<std::string>& value);
ReadResult read(const YAML::Node& node, const Range& range, std::vector<std::uint32_t>& value);
ReadResult read(const YAML::Node& node, const Range& range, std::map<std::string, std::string>& value);
ReadResult read(const YAML::Node& node, const Range& range, std::map<std::string, Bytes>& value);

YAML::Node write(bool value);
YAML::Node write(int value);
YAML::Node write(std::uint32_t value);
YAML::Node write(Bytes value);
YAML::Node write(Duration value);
YAML::Node write(const std::string& value);
YAML::Node write(const Path& value);
YAML::Node write(const PolicyName& value);
YAML::Node write(const Command& value);
YAML::Node write(const RequestConfig& value);
YAML::Node write(const std::vector<std::string>& value);
YAML::Node write(const std::vector<std::uint32_t>& value);
YAML::Node write(const std::map<std::string, std::string>& value);
YAML::Node write(const std::map<std::string, Bytes>& value);

// The type's name on the reference page, and its JSON schema.
struct ValueType {
  std::string name{};
  nlohmann::ordered_json schema{};
};
ValueType type_of(const Range& range, const bool*);
ValueType type_of(const Range& range, const int*);
ValueType type_of(const Range& range, const std::uint32_t*);
ValueType type_of(const Range& range, const Bytes*);
ValueType type_of(const Range& range, const Duration*);
ValueType type_of(const Range& range, const std::string*);
ValueType type_of(const Range& range, const Path*);
ValueType type_of(const Range& range, const PolicyName*);
ValueType type_of(const Range& range, const Command*);
ValueType type_of(const Range& range, const RequestConfig*);
ValueType type_of(const Range& range, const std::vector<std::string>*);
ValueType type_of(const Range& range, const std::vector<std::uint32_t>*);
ValueType type_of(const Range& range, const std::map<std::string, std::string>*);
ValueType type_of(const Range& range, const std::map<std::string, Bytes>*);

// The names of an enum's values in YAML, in the order of its enumerators.
const std::vector<std::string>& enum_names(const ConsumerKind*);
const std::vector<std::string>& enum_names(const ServiceType*);
const std::vector<std::string>& enum_names(const Priority*);
const std::vector<std::string>& enum_names(const FootprintDeclaration*);
const std::vector<std::string>& enum_names(const UserSource*);
const std::vector<std::string>& enum_names(const GpuProvider*);
const std::vector<std::string>& enum_names(const UninvitedPolicy*);
const std::vector<std::string>& enum_names(const BusType*);

// The index of a name in a closed list; the error suggests the nearest name.
std::expected<std::size_t, ValueError> read_choice(const YAML::Node& node,
                                                   const std::vector<std::string>& names);
ValueType choice_type(const std::vector<std::string>& names);

template <class Enum>
  requires std::is_enum_v<Enum>
ReadResult read(const YAML::Node& node, const Range&, Enum& value) {
  const auto index = read_choice(node, enum_names(&value));
  if (!index) return std::unexpected(index.error());
  value = static_cast<Enum>(*index);
  return {};
}
template <class Enum>
  requires std::is_enum_v<Enum>
YAML::Node write(Enum value) {
  return YAML::Node(enum_names(&value).at(static_cast<std::size_t>(value)));
}
template <class Enum>
  requires std::is_enum_v<Enum>
ValueType type_of(const Range&, const Enum* type) {
  return choice_type(enum_names(type));
}

// An optional value is read and described like the type it contains.
template <class T>
ReadResult read(const YAML::Node& node, const Range& range, std::optional<T>& value) {
  return read(node, range, value.emplace());
}
template <class T>
ValueType type_of(const Range& range, const std::optional<T>*) {
  return type_of(range, static_cast<const T*>(nullptr));
}

}  // namespace mgpu::config
