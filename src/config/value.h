// The types that a configuration value can have: how each is read from YAML, written back, and described to
// people and in the JSON schema.
#pragma once

#include <cstdint>
#include <expected>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include "config/config.h"

namespace mgpu::config {

// Why a value was refused, and where in the text.
struct Wrong {
  YAML::Mark mark{};
  std::string what{};
};
using Read = std::expected<void, Wrong>;

// Bounds of a number, or of an amount of memory (bytes) or time (microseconds).
struct Range {
  std::int64_t least = 0;
  std::int64_t most = std::numeric_limits<std::int64_t>::max();
};

// Wrappers that tell apart what is one C++ type, but different things to a person who writes YAML.
struct Command {
  std::vector<std::string> words{};
};
struct Path {
  std::string text{};  // of a URL: starts with /
};
struct PolicyName {
  std::string text{};
};

Read read(const YAML::Node& node, const Range& range, bool& value);
Read read(const YAML::Node& node, const Range& range, int& value);
Read read(const YAML::Node& node, const Range& range, std::uint32_t& value);
Read read(const YAML::Node& node, const Range& range, Bytes& value);
Read read(const YAML::Node& node, const Range& range, Duration& value);
Read read(const YAML::Node& node, const Range& range, std::string& value);
Read read(const YAML::Node& node, const Range& range, Path& value);
Read read(const YAML::Node& node, const Range& range, ConsumerKind& value);
Read read(const YAML::Node& node, const Range& range, ServiceType& value);
Read read(const YAML::Node& node, const Range& range, Priority& value);
Read read(const YAML::Node& node, const Range& range, FootprintDeclaration& value);
Read read(const YAML::Node& node, const Range& range, Users& value);
Read read(const YAML::Node& node, const Range& range, PolicyName& value);
Read read(const YAML::Node& node, const Range& range, GpuProvider& value);
Read read(const YAML::Node& node, const Range& range, Uninvited& value);
Read read(const YAML::Node& node, const Range& range, BusType& value);
Read read(const YAML::Node& node, const Range& range, Command& value);
Read read(const YAML::Node& node, const Range& range, RequestConfig& value);
Read read(const YAML::Node& node, const Range& range, std::vector<std::string>& value);
Read read(const YAML::Node& node, const Range& range, std::vector<std::uint32_t>& value);
Read read(const YAML::Node& node, const Range& range, std::map<std::string, std::string>& value);
Read read(const YAML::Node& node, const Range& range, std::map<std::string, Bytes>& value);

YAML::Node write(bool value);
YAML::Node write(int value);
YAML::Node write(std::uint32_t value);
YAML::Node write(Bytes value);
YAML::Node write(Duration value);
YAML::Node write(const std::string& value);
YAML::Node write(const Path& value);
YAML::Node write(ConsumerKind value);
YAML::Node write(ServiceType value);
YAML::Node write(Priority value);
YAML::Node write(FootprintDeclaration value);
YAML::Node write(Users value);
YAML::Node write(const PolicyName& value);
YAML::Node write(GpuProvider value);
YAML::Node write(Uninvited value);
YAML::Node write(BusType value);
YAML::Node write(const Command& value);
YAML::Node write(const RequestConfig& value);
YAML::Node write(const std::vector<std::string>& value);
YAML::Node write(const std::vector<std::uint32_t>& value);
YAML::Node write(const std::map<std::string, std::string>& value);
YAML::Node write(const std::map<std::string, Bytes>& value);

// What the reference page calls the type, and its JSON schema.
struct Type {
  std::string name{};
  nlohmann::ordered_json schema{};
};
Type type_of(const Range& range, const bool*);
Type type_of(const Range& range, const int*);
Type type_of(const Range& range, const std::uint32_t*);
Type type_of(const Range& range, const Bytes*);
Type type_of(const Range& range, const Duration*);
Type type_of(const Range& range, const std::string*);
Type type_of(const Range& range, const Path*);
Type type_of(const Range& range, const ConsumerKind*);
Type type_of(const Range& range, const ServiceType*);
Type type_of(const Range& range, const Priority*);
Type type_of(const Range& range, const FootprintDeclaration*);
Type type_of(const Range& range, const Users*);
Type type_of(const Range& range, const PolicyName*);
Type type_of(const Range& range, const GpuProvider*);
Type type_of(const Range& range, const Uninvited*);
Type type_of(const Range& range, const BusType*);
Type type_of(const Range& range, const Command*);
Type type_of(const Range& range, const RequestConfig*);
Type type_of(const Range& range, const std::vector<std::string>*);
Type type_of(const Range& range, const std::vector<std::uint32_t>*);
Type type_of(const Range& range, const std::map<std::string, std::string>*);
Type type_of(const Range& range, const std::map<std::string, Bytes>*);

// An optional value is read and described as what it may hold.
template <class T>
Read read(const YAML::Node& node, const Range& range, std::optional<T>& value) {
  return read(node, range, value.emplace());
}
template <class T>
Type type_of(const Range& range, const std::optional<T>*) {
  return type_of(range, static_cast<const T*>(nullptr));
}

}  // namespace mgpu::config
