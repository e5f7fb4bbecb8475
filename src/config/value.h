// The types of configuration values: for each, how it is read from the file (value_read.cc), written to YAML,
// and described on the reference page and in the JSON schema (value.cc). Reading is strict: what a person
// can't have meant is an error, not a value.
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
#include "config/node.h"

namespace mgpu::config {

// All errors in a value; empty: it was read.
using ReadErrors = std::vector<ValueError>;

// Inclusive bounds of a number, an amount of memory (bytes) or a duration (microseconds).
struct Range {
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

// Wrappers for values that share a C++ type but are written differently in YAML. The unwrapped std::string is
// one line of text, not empty, without blanks around it; a list of them has no two equal ones.
struct Command {
  std::vector<std::string> words{};  // the program first
};
struct Arguments {
  std::vector<std::string> words{};
};
struct Path {
  std::string text{};  // of a URL: starts with /
};
struct FilePath {
  std::string text{};  // of a file or folder; ~ and $HOME are refused, since nothing replaces them
};
struct FilePaths {
  std::vector<std::string> texts{};
};
struct AnyText {
  std::string text{};  // also empty, or of several lines
};
struct VariableName {
  std::string text{};  // of the environment
};
struct PolicyName {
  std::string text{};
};

ReadErrors read(const Node& node, const Range& range, bool& value);
ReadErrors read(const Node& node, const Range& range, int& value);
ReadErrors read(const Node& node, const Range& range, std::uint32_t& value);
ReadErrors read(const Node& node, const Range& range, Bytes& value);
ReadErrors read(const Node& node, const Range& range, Duration& value);
ReadErrors read(const Node& node, const Range& range, std::string& value);
ReadErrors read(const Node& node, const Range& range, AnyText& value);
ReadErrors read(const Node& node, const Range& range, Path& value);
ReadErrors read(const Node& node, const Range& range, FilePath& value);
ReadErrors read(const Node& node, const Range& range, VariableName& value);
ReadErrors read(const Node& node, const Range& range, PolicyName& value);
ReadErrors read(const Node& node, const Range& range, Command& value);
ReadErrors read(const Node& node, const Range& range, Arguments& value);
ReadErrors read(const Node& node, const Range& range, RequestConfig& value);
ReadErrors read(const Node& node, const Range& range, std::vector<std::string>& value);
ReadErrors read(const Node& node, const Range& range, FilePaths& value);
ReadErrors read(const Node& node, const Range& range, std::vector<std::uint32_t>& value);
ReadErrors read(const Node& node, const Range& range, std::map<std::string, std::string>& value);
ReadErrors read(const Node& node, const Range& range, std::map<std::string, Bytes>& value);

YAML::Node write(bool value);
YAML::Node write(int value);
YAML::Node write(std::uint32_t value);
YAML::Node write(Bytes value);
YAML::Node write(Duration value);
YAML::Node write(const std::string& value);
YAML::Node write(const AnyText& value);
YAML::Node write(const Path& value);
YAML::Node write(const FilePath& value);
YAML::Node write(const VariableName& value);
YAML::Node write(const PolicyName& value);
YAML::Node write(const Command& value);
YAML::Node write(const Arguments& value);
YAML::Node write(const RequestConfig& value);
YAML::Node write(const std::vector<std::string>& value);
YAML::Node write(const FilePaths& value);
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
ValueType type_of(const Range& range, const AnyText*);
ValueType type_of(const Range& range, const Path*);
ValueType type_of(const Range& range, const FilePath*);
ValueType type_of(const Range& range, const VariableName*);
ValueType type_of(const Range& range, const PolicyName*);
ValueType type_of(const Range& range, const Command*);
ValueType type_of(const Range& range, const Arguments*);
ValueType type_of(const Range& range, const RequestConfig*);
ValueType type_of(const Range& range, const std::vector<std::string>*);
ValueType type_of(const Range& range, const FilePaths*);
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
std::expected<std::size_t, ValueError> read_choice(const Node& node, const std::vector<std::string>& names);
ValueType choice_type(const std::vector<std::string>& names);

template <class Enum>
  requires std::is_enum_v<Enum>
ReadErrors read(const Node& node, const Range&, Enum& value) {
  const auto index = read_choice(node, enum_names(&value));
  if (!index) return {index.error()};
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
ReadErrors read(const Node& node, const Range& range, std::optional<T>& value) {
  return read(node, range, value.emplace());
}
template <class T>
ValueType type_of(const Range& range, const std::optional<T>*) {
  return type_of(range, static_cast<const T*>(nullptr));
}

}  // namespace mgpu::config
