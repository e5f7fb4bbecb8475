#include "config/value.h"

#include <array>
#include <charconv>
#include <string_view>

#include "config/services.h"
#include "config/shell_words.h"
#include "config/spelling.h"

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

std::unexpected<ValueError> value_error(const YAML::Node& node, std::string message) {
  return std::unexpected(ValueError{node.Mark(), std::move(message)});
}

std::string describe_node(const YAML::Node& node) {
  if (node.IsMap()) return "a mapping";
  if (node.IsSequence()) return "a list";
  return node.IsScalar() ? "\"" + node.Scalar() + "\"" : "nothing";
}

std::string join_names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The text of a scalar node. `expected` describes it in the error: "a duration (30s)".
std::expected<std::string, ValueError> read_scalar(const YAML::Node& node, std::string_view expected) {
  if (node.IsScalar()) return node.Scalar();
  return value_error(node, "expected " + std::string(expected) + ", found " + describe_node(node));
}

template <class Number>
ReadResult read_number(const YAML::Node& node, const Range& range, Number& value) {
  const auto text = read_scalar(node, "a whole number");
  if (!text) return std::unexpected(text.error());
  const std::int64_t most = std::min<std::int64_t>(range.most, std::numeric_limits<Number>::max());
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (end != text->data() + text->size() || text->empty() || error == std::errc::invalid_argument)
    return value_error(node, "expected a whole number, found \"" + *text + "\"");
  if (error != std::errc{} || number < range.least || number > most)
    return value_error(
        node, *text + " is out of range: " + std::to_string(range.least) + " to " + std::to_string(most));
  value = static_cast<Number>(number);
  return {};
}

std::size_t index_of(const std::vector<std::string>& names, std::string_view name) {
  std::size_t i = 0;
  while (i < names.size() && names[i] != name) ++i;
  return i;
}

// "POST /unload" or just "/unload".
ReadResult read_request_line(const YAML::Node& node, RequestConfig& request) {
  const auto text = read_scalar(node, "a request such as \"POST /unload\"");
  if (!text) return std::unexpected(text.error());
  const std::size_t blank = text->find(' ');
  if (blank != std::string::npos) request.method = text->substr(0, blank);
  request.path = blank == std::string::npos ? *text : text->substr(blank + 1);
  if (index_of(kHttpMethods, request.method) == kHttpMethods.size() || !request.path.starts_with('/') ||
      request.path.find_first_of(" \t\r\n") != std::string::npos)
    return value_error(node, "\"" + *text + "\" is not a request: write \"POST /unload\" (" +
                                 join_names(kHttpMethods) + ", then a path that starts with /)");
  return {};
}

ReadResult read_body(const YAML::Node& node, RequestConfig& request) {
  const auto text = read_scalar(node, "the JSON text of a body, in quotes");
  if (!text) return std::unexpected(text.error());
  request.body = *text;
  return {};
}

template <class T>
ReadResult read_list(const YAML::Node& node, const Range& range, std::vector<T>& value) {
  if (!node.IsSequence()) return value_error(node, "expected a list, found " + describe_node(node));
  for (const YAML::Node& item : node) {
    T one{};
    if (ReadResult result = read(item, range, one); !result) return result;
    value.push_back(std::move(one));
  }
  return {};
}

// `read_one(node, value)` reads one value of the map.
template <class T, class ReadOne>
ReadResult read_map(const YAML::Node& node, std::map<std::string, T>& value, std::string_view expected,
                    ReadOne read_one) {
  if (!node.IsMap())
    return value_error(node, "expected " + std::string(expected) + ", found " + describe_node(node));
  for (const auto& entry : node) {
    const auto name = read_scalar(entry.first, "a name");
    if (!name) return std::unexpected(name.error());
    T one{};
    if (ReadResult result = read_one(entry.second, one); !result) return result;
    if (!value.emplace(*name, std::move(one)).second)
      return value_error(entry.first, "\"" + *name + "\" is there twice: remove one of them");
  }
  return {};
}

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

std::string format_range(const Range& range, std::string least, std::string most) {
  const bool unbounded = range.most == std::numeric_limits<std::int64_t>::max();
  if (range.least == 0 && unbounded) return "";
  return unbounded ? ", at least " + least : ", " + least + " to " + most;
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

std::expected<std::size_t, ValueError> read_choice(const YAML::Node& node,
                                                   const std::vector<std::string>& names) {
  const auto text = read_scalar(node, "one of " + join_names(names));
  if (!text) return std::unexpected(text.error());
  const std::size_t i = index_of(names, *text);
  if (i < names.size()) return i;
  const std::string suggestion = closest_match(*text, names);
  return value_error(node, "\"" + *text + "\" is not one of " + join_names(names) +
                               (suggestion.empty() ? "" : ", did you mean \"" + suggestion + "\"?"));
}

ValueType choice_type(const std::vector<std::string>& names) {
  return {join_names(names), {{"enum", names}}};
}

ReadResult read(const YAML::Node& node, const Range&, bool& value) {
  const auto text = read_scalar(node, "true or false");
  if (!text) return std::unexpected(text.error());
  const bool yes = *text == "true" || *text == "yes" || *text == "on";
  if (!yes && *text != "false" && *text != "no" && *text != "off")
    return value_error(node, "expected true or false, found \"" + *text + "\"");
  value = yes;
  return {};
}

ReadResult read(const YAML::Node& node, const Range& range, int& value) {
  return read_number(node, range, value);
}
ReadResult read(const YAML::Node& node, const Range& range, std::uint32_t& value) {
  return read_number(node, range, value);
}

ReadResult read(const YAML::Node& node, const Range& range, Bytes& value) {
  const auto text = read_scalar(node, "an amount of memory (14GiB)");
  if (!text) return std::unexpected(text.error());
  const Result<Bytes> bytes = parse_bytes(*text);
  if (!bytes) return value_error(node, bytes.error().detail);
  if (bytes->count < range.least || bytes->count > range.most)
    return value_error(
        node, *text + " is out of range" +
                  format_range(range, to_exact_string({range.least}), to_exact_string({range.most})));
  value = *bytes;
  return {};
}

ReadResult read(const YAML::Node& node, const Range& range, Duration& value) {
  const auto text = read_scalar(node, "a duration (30s)");
  if (!text) return std::unexpected(text.error());
  const Result<Duration> duration = parse_duration(*text);
  if (!duration) return value_error(node, duration.error().detail);
  if (duration->count() < range.least || duration->count() > range.most)
    return value_error(
        node, *text + " is out of range" +
                  format_range(range, to_string(Duration{range.least}), to_string(Duration{range.most})));
  value = *duration;
  return {};
}

ReadResult read(const YAML::Node& node, const Range&, std::string& value) {
  const auto text = read_scalar(node, "a text");
  if (!text) return std::unexpected(text.error());
  value = *text;
  return {};
}

ReadResult read(const YAML::Node& node, const Range&, Path& value) {
  const auto text = read_scalar(node, "a path (/health)");
  if (!text) return std::unexpected(text.error());
  if (!text->starts_with('/') || text->find_first_of(" \t\r\n") != std::string::npos)
    return value_error(node, "\"" + *text + "\" is not a path: it starts with / and has no blanks");
  value.text = *text;
  return {};
}

ReadResult read(const YAML::Node& node, const Range&, PolicyName& value) {
  const auto i = read_choice(node, kPolicyNames);
  if (!i) return std::unexpected(i.error());
  value.text = kPolicyNames[*i];
  return {};
}

ReadResult read(const YAML::Node& node, const Range& range, Command& value) {
  if (node.IsScalar()) {
    auto words = split_shell_words(node.Scalar());
    if (!words) return value_error(node, words.error().detail);
    value.words = std::move(*words);
  } else if (ReadResult result = read(node, range, value.words); !result) {
    return result;
  }
  if (value.words.empty() || value.words.front().empty())
    return value_error(node, "the command is empty: write the program and its arguments");
  return {};
}

ReadResult read(const YAML::Node& node, const Range&, RequestConfig& value) {
  if (!node.IsMap()) return read_request_line(node, value);
  for (const auto& entry : node) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : describe_node(entry.first);
    ReadResult result{};
    if (name == "request") {
      result = read_request_line(entry.second, value);
    } else if (name == "body") {
      result = read_body(entry.second, value);
    } else {
      result =
          value_error(entry.first, "unknown key \"" + name + "\" in a request (it has request and body)");
    }
    if (!result) return result;
  }
  if (value.path.empty()) return value_error(node, "a request needs the key request (\"POST /unload\")");
  return {};
}

ReadResult read(const YAML::Node& node, const Range& range, std::vector<std::string>& value) {
  return read_list(node, range, value);
}

ReadResult read(const YAML::Node& node, const Range& range, std::vector<std::uint32_t>& value) {
  return read_list(node, range, value);
}

ReadResult read(const YAML::Node& node, const Range& range, std::map<std::string, std::string>& value) {
  return read_map(node, value, "a mapping of names to texts",
                  [&](const YAML::Node& one, std::string& text) { return read(one, range, text); });
}

ReadResult read(const YAML::Node& node, const Range& range, std::map<std::string, Bytes>& value) {
  if (!node.IsSequence())
    return read_map(node, value, "a list of names, or a mapping of names to footprints",
                    [&](const YAML::Node& one, Bytes& bytes) { return read(one, range, bytes); });
  std::vector<std::string> names;
  if (ReadResult result = read(node, range, names); !result) return result;
  for (std::string& name : names) value.emplace(std::move(name), Bytes{});
  return {};
}

YAML::Node write(bool value) { return YAML::Node(value); }
YAML::Node write(int value) { return YAML::Node(value); }
YAML::Node write(std::uint32_t value) { return YAML::Node(value); }
YAML::Node write(Bytes value) { return YAML::Node(to_exact_string(value)); }
YAML::Node write(Duration value) { return YAML::Node(to_string(value)); }
YAML::Node write(const std::string& value) { return YAML::Node(value); }
YAML::Node write(const Path& value) { return YAML::Node(value.text); }
YAML::Node write(const PolicyName& value) { return YAML::Node(value.text); }
YAML::Node write(const Command& value) { return write(value.words); }

YAML::Node write(const RequestConfig& value) {
  if (value.body.empty()) return YAML::Node(value.method + " " + value.path);
  YAML::Node node;
  node["request"] = value.method + " " + value.path;
  node["body"] = value.body;
  return node;
}

YAML::Node write(const std::vector<std::string>& value) { return list_node(value); }
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
ValueType type_of(const Range&, const Path*) {
  return {"path", {{"type", "string"}, {"pattern", "^/[^\\s]*$"}}};
}
ValueType type_of(const Range&, const PolicyName*) { return choice_type(kPolicyNames); }
ValueType type_of(const Range&, const Command*) {
  return {"list of texts, or one text, split as by a shell",
          {{"oneOf",
            {{{"type", "string"}},
             {{"type", "array"}, {"items", {{"type", Json::array({"string", "number"})}}}}}}}};
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
