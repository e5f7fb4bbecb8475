#include "config/value.h"

#include <algorithm>

#include "config/services.h"
#include "config/shell_words.h"
#include "config/value_text.h"

namespace mgpu::config {

using mgpu::to_string;  // besides the one for Diagnostic
namespace {

using Json = nlohmann::ordered_json;

const std::vector<std::string> kKindNames{"llm",   "stt",   "tts",   "embedding", "rerank",
                                          "image", "video", "batch", "other"};
const std::vector<std::string> kPriorityNames{"realtime", "interactive", "normal", "batch"};
const std::vector<std::string> kFootprintDeclarationNames{"guess", "at_least", "at_most"};
const std::vector<std::string> kUserSourceNames{"header_or_key", "header", "key", "none"};
const std::vector<std::string> kPolicyNames{"fifo", "affinity"};
const std::vector<std::string> kProviderNames{"auto", "nvml", "drm"};
const std::vector<std::string> kUninvitedPolicyNames{"allow", "leave"};
const std::vector<std::string> kBusNames{"system", "user"};
const std::vector<std::string> kHttpMethods{"GET", "POST", "PUT", "PATCH", "DELETE"};

template <class T>
YAML::Node list_node(const std::vector<T>& value) {
  YAML::Node node(YAML::NodeType::Sequence);
  node.SetStyle(YAML::EmitterStyle::Flow);
  for (const T& item : value) node.push_back(item);
  return node;
}

template <class T>
YAML::Node map_node(const std::map<std::string, T>& value) {
  YAML::Node node(YAML::NodeType::Map);
  for (const auto& [name, one] : value) node[name] = write(one);
  return node;
}

Json integer_schema(const Range& range, std::int64_t most) {
  return {{"type", "integer"}, {"minimum", range.least}, {"maximum", std::min(range.most, most)}};
}

ValueType text_type(std::string name, std::string pattern) {
  return {std::move(name), {{"type", "string"}, {"pattern", std::move(pattern)}}};
}

}  // namespace

const std::vector<std::string>& enum_names(const ConsumerKind*) { return kKindNames; }
const std::vector<std::string>& enum_names(const ServiceType*) { return service_names(); }
const std::vector<std::string>& enum_names(const Priority*) { return kPriorityNames; }
const std::vector<std::string>& enum_names(const FootprintDeclaration*) { return kFootprintDeclarationNames; }
const std::vector<std::string>& enum_names(const UserSource*) { return kUserSourceNames; }
const std::vector<std::string>& enum_names(const GpuProvider*) { return kProviderNames; }
const std::vector<std::string>& enum_names(const UninvitedPolicy*) { return kUninvitedPolicyNames; }
const std::vector<std::string>& enum_names(const BusType*) { return kBusNames; }

const std::vector<std::string>& policy_names() { return kPolicyNames; }
const std::vector<std::string>& http_methods() { return kHttpMethods; }

std::string join_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string format_range(const Range& range, const std::string& least, const std::string& most) {
  const bool unbounded = range.most == std::numeric_limits<std::int64_t>::max();
  if (range.least == 0 && unbounded) return "";
  return unbounded ? ", at least " + least : ", " + least + " to " + most;
}

ValueType choice_type(const std::vector<std::string>& names) {
  return {join_names(names), {{"enum", names}}};
}

YAML::Node write(bool value) { return YAML::Node(value); }
YAML::Node write(int value) { return YAML::Node(value); }
YAML::Node write(std::uint32_t value) { return YAML::Node(value); }
YAML::Node write(Bytes value) {
  const std::string text = to_exact_string(value);
  const bool has_unit = text.ends_with('B') || text == "0";
  return YAML::Node(has_unit ? text : text + "B");
}
YAML::Node write(Duration value) { return YAML::Node(to_string(value)); }
YAML::Node write(const std::string& value) { return YAML::Node(value); }
YAML::Node write(const AnyText& value) { return YAML::Node(value.text); }
YAML::Node write(const Path& value) { return YAML::Node(value.text); }
YAML::Node write(const FilePath& value) { return YAML::Node(value.text); }
YAML::Node write(const VariableName& value) { return YAML::Node(value.text); }
YAML::Node write(const PolicyName& value) { return YAML::Node(value.text); }
YAML::Node write(const Command& value) { return write(Arguments{value.words}); }
// As a list, except where only quotes make clear that a word is no slip.
YAML::Node write(const Arguments& value) {
  return problem_in_word_list(value.words).empty() ? write(value.words)
                                                   : YAML::Node(to_shell_text(value.words));
}

YAML::Node write(const RequestConfig& value) {
  if (value.body.empty()) return YAML::Node(value.method + " " + value.path);
  YAML::Node node;
  node["request"] = value.method + " " + value.path;
  node["body"] = value.body;
  return node;
}

YAML::Node write(const std::vector<std::string>& value) { return list_node(value); }
YAML::Node write(const FilePaths& value) { return list_node(value.texts); }
YAML::Node write(const std::vector<std::uint32_t>& value) { return list_node(value); }

YAML::Node write(const std::map<std::string, std::string>& value) { return map_node(value); }
YAML::Node write(const std::map<std::string, Bytes>& value) { return map_node(value); }

ValueType type_of(const Range&, const bool*) { return {"true or false", {{"type", "boolean"}}}; }
ValueType type_of(const Range& range, const int*) {
  return {"number" + format_range(range, std::to_string(range.least), std::to_string(range.most)),
          integer_schema(range, std::numeric_limits<int>::max())};
}
ValueType type_of(const Range& range, const std::uint32_t*) {
  return {"number" + format_range(range, std::to_string(range.least), std::to_string(range.most)),
          integer_schema(range, std::numeric_limits<std::uint32_t>::max())};
}
ValueType type_of(const Range& range, const Bytes*) {
  return {"bytes" + format_range(range, to_exact_string({range.least}), to_exact_string({range.most})),
          {{"type", Json::array({"string", "integer"})},
           {"pattern", "^ *[0-9.]+ *([KMGT]i?B?|B)? *$"},
           {"minimum", 0}}};
}
ValueType type_of(const Range& range, const Duration*) {
  return {"duration" + format_range(range, to_string(Duration{range.least}), to_string(Duration{range.most})),
          {{"type", Json::array({"string", "integer"})},
           {"pattern", "^(0|([0-9.]+(d|h|m|s|ms|us))+)$"},
           {"maximum", 0}}};
}
ValueType type_of(const Range&, const std::string*) { return {"text", {{"type", "string"}}}; }
ValueType type_of(const Range&, const AnyText*) { return {"text", {{"type", "string"}}}; }
ValueType type_of(const Range&, const Path*) { return text_type("path", "^/[^\\s]*$"); }
ValueType type_of(const Range&, const FilePath*) { return text_type("file or folder", "^[^~]"); }
ValueType type_of(const Range&, const VariableName*) {
  return text_type("name of a variable", "^([A-Za-z_][A-Za-z0-9_]*|.*\\$\\{.*)$");
}
ValueType type_of(const Range&, const PolicyName*) { return choice_type(kPolicyNames); }
ValueType type_of(const Range&, const Command*) {
  return {"list of texts, or one text, split as by a shell",
          {{"oneOf",
            {{{"type", "string"}},
             {{"type", "array"}, {"items", {{"type", Json::array({"string", "number"})}}}}}}}};
}
ValueType type_of(const Range& range, const Arguments*) {
  return type_of(range, static_cast<const Command*>(nullptr));
}
ValueType type_of(const Range&, const RequestConfig*) {
  const Json line{{"type", "string"}, {"pattern", "^((GET|POST|PUT|PATCH|DELETE) )?/[^\\s]*$"}};
  return {"request: `METHOD /path`, or a mapping of `request` and `body`",
          {{"oneOf",
            {line,
             {{"type", "object"},
              {"properties", {{"request", line}, {"body", {{"type", "string"}}}}},
              {"required", Json::array({"request"})},
              {"additionalProperties", false}}}}}};
}
ValueType type_of(const Range&, const std::vector<std::string>*) {
  return {"list of texts", {{"type", "array"}, {"items", {{"type", "string"}}}}};
}
ValueType type_of(const Range& range, const FilePaths*) {
  const ValueType item = type_of(range, static_cast<const FilePath*>(nullptr));
  return {"list of files or folders", {{"type", "array"}, {"items", item.schema}}};
}
ValueType type_of(const Range& range, const std::vector<std::uint32_t>*) {
  const ValueType item = type_of(range, static_cast<const std::uint32_t*>(nullptr));
  return {"list of " + item.name, {{"type", "array"}, {"items", item.schema}}};
}
ValueType type_of(const Range&, const std::map<std::string, std::string>*) {
  return {"mapping of names to texts",
          {{"type", "object"},
           {"additionalProperties", {{"type", Json::array({"string", "number", "boolean"})}}}}};
}
ValueType type_of(const Range& range, const std::map<std::string, Bytes>*) {
  const Json names{{"type", "array"}, {"items", {{"type", "string"}}}};
  const Json footprints{{"type", "object"},
                        {"additionalProperties", type_of(range, static_cast<const Bytes*>(nullptr)).schema}};
  return {"list of names, or mapping of names to bytes", {{"oneOf", Json::array({names, footprints})}}};
}

}  // namespace mgpu::config
