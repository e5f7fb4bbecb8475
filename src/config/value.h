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
struct ValueError {
  YAML::Mark mark{};
  std::string message{};
};
using ReadResult = std::expected<void, ValueError>;

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

ReadResult read(const YAML::Node& node, const Range& range, bool& value);
ReadResult read(const YAML::Node& node, const Range& range, int& value);
ReadResult read(const YAML::Node& node, const Range& range, std::uint32_t& value);
ReadResult read(const YAML::Node& node, const Range& range, Bytes& value);
ReadResult read(const YAML::Node& node, const Range& range, Duration& value);
ReadResult read(const YAML::Node& node, const Range& range, std::string& value);
ReadResult read(const YAML::Node& node, const Range& range, Path& value);
ReadResult read(const YAML::Node& node, const Range& range, ConsumerKind& value);
ReadResult read(const YAML::Node& node, const Range& range, ServiceType& value);
ReadResult read(const YAML::Node& node, const Range& range, Priority& value);
ReadResult read(const YAML::Node& node, const Range& range, FootprintDeclaration& value);
ReadResult read(const YAML::Node& node, const Range& range, UserSource& value);
ReadResult read(const YAML::Node& node, const Range& range, PolicyName& value);
ReadResult read(const YAML::Node& node, const Range& range, GpuProvider& value);
ReadResult read(const YAML::Node& node, const Range& range, UninvitedPolicy& value);
ReadResult read(const YAML::Node& node, const Range& range, BusType& value);
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
YAML::Node write(ConsumerKind value);
YAML::Node write(ServiceType value);
YAML::Node write(Priority value);
YAML::Node write(FootprintDeclaration value);
YAML::Node write(UserSource value);
YAML::Node write(const PolicyName& value);
YAML::Node write(GpuProvider value);
YAML::Node write(UninvitedPolicy value);
YAML::Node write(BusType value);
YAML::Node write(const Command& value);
YAML::Node write(const RequestConfig& value);
YAML::Node write(const std::vector<std::string>& value);
YAML::Node write(const std::vector<std::uint32_t>& value);
YAML::Node write(const std::map<std::string, std::string>& value);
YAML::Node write(const std::map<std::string, Bytes>& value);

// What the reference page calls the type, and its JSON schema.
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
ValueType type_of(const Range& range, const ConsumerKind*);
ValueType type_of(const Range& range, const ServiceType*);
ValueType type_of(const Range& range, const Priority*);
ValueType type_of(const Range& range, const FootprintDeclaration*);
ValueType type_of(const Range& range, const UserSource*);
ValueType type_of(const Range& range, const PolicyName*);
ValueType type_of(const Range& range, const GpuProvider*);
ValueType type_of(const Range& range, const UninvitedPolicy*);
ValueType type_of(const Range& range, const BusType*);
ValueType type_of(const Range& range, const Command*);
ValueType type_of(const Range& range, const RequestConfig*);
ValueType type_of(const Range& range, const std::vector<std::string>*);
ValueType type_of(const Range& range, const std::vector<std::uint32_t>*);
ValueType type_of(const Range& range, const std::map<std::string, std::string>*);
ValueType type_of(const Range& range, const std::map<std::string, Bytes>*);

// An optional value is read and described as what it may hold.
template <class T>
ReadResult read(const YAML::Node& node, const Range& range, std::optional<T>& value) {
  return read(node, range, value.emplace());
}
template <class T>
ValueType type_of(const Range& range, const std::optional<T>*) {
  return type_of(range, static_cast<const T*>(nullptr));
}

}  // namespace mgpu::config
