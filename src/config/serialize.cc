// Three outputs made from the table of keys: a config as YAML, the reference page, the JSON schema.
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <yaml-cpp/yaml.h>

#include "config/hidden_values.h"
#include "config/keys.h"
#include "config/services.h"
#include "config/variables.h"

namespace mgpu::config {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> parts;
  while (!path.empty()) {
    const std::size_t dot = std::min(path.find('.'), path.size());
    parts.emplace_back(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return parts;
}

// Sets node.a.b.c = value for {"a", "b", "c"}.
void set_nested(YAML::Node node, const std::vector<std::string>& parts, std::size_t from,
                const YAML::Node& value) {
  if (from + 1 == parts.size())
    node[parts[from]] = value;
  else
    set_nested(node[parts[from]], parts, from + 1, value);
}

// The text as it is written in a file: ${ that is no placeholder is written $${.
std::string escape_references(std::string text) {
  for (std::size_t at = 0; (at = text.find("${", at)) != std::string::npos; at += 2)
    if (text.compare(at, kPortPlaceholder.size(), kPortPlaceholder) != 0) text.insert(at++, "$");
  return text;
}

// Changes the scalars of a written value to what may be shown: values of the environment, which `uses` name,
// to the variables that they came from.
void hide_in_scalars(YAML::Node node, const std::vector<EnvironmentUse>& uses) {
  if (node.IsScalar())
    node = hide_values(escape_references(node.Scalar()), uses, 1);
  else if (node.IsSequence())
    for (const YAML::Node& item : node) hide_in_scalars(item, uses);
  else if (node.IsMap())
    for (const auto& entry : node) hide_in_scalars(entry.first, uses), hide_in_scalars(entry.second, uses);
}

YAML::Node shown_value(const YAML::Node& value, std::vector<EnvironmentUse> uses) {
  if (value.IsScalar() && !uses.empty() && !uses.front().written.empty())
    return YAML::Node(uses.front().written);
  for (EnvironmentUse& use : uses) use.value = escape_references(use.value);
  hide_in_scalars(value, uses);
  return value;
}

// The values in `context` of all keys below `prefix` ("", "devices[].", "consumers.*."), which is `place` in
// the file ("", "devices[0].", "consumers.chat.").
YAML::Node subtree_to_yaml(std::string_view prefix, const std::string& place, KeyContext context) {
  YAML::Node node(YAML::NodeType::Map);
  for (const Key& key : keys()) {
    const bool nested = key.path.starts_with("devices[]") || key.path.starts_with("consumers.*");
    if (!key.path.starts_with(prefix) || (prefix.empty() && nested)) continue;
    const std::string name = key.path.substr(prefix.size());
    const auto value = key.write(context);
    if (!value) continue;
    const bool is_as_written = key.path == "macros";
    set_nested(
        node, split_path(name), 0,
        is_as_written ? *value : shown_value(*value, uses_of_key(context.config->environment, place + name)));
  }
  return node;
}

std::string last_segment(std::string_view path) { return split_path(path).back(); }

std::string default_text(const Key& key) {
  if (key.required) return "required";
  if (!key.fallback.empty()) return key.fallback;
  Config config;
  DeviceConfig device;
  ConsumerConfig consumer;
  // A row of a service writes its default only for a service that supports the key.
  consumer.service.type = first_service_supporting(last_segment(key.path));
  if (key.path.contains(".process.")) consumer.process.emplace();
  if (key.path.contains(".systemd.")) consumer.systemd.emplace();
  if (key.path.contains(".container.")) consumer.container.emplace();
  const auto value = key.write({&config, &device, &consumer});
  if (!value) return "none";
  YAML::Emitter out;
  out << YAML::Flow << *value;
  return "`" + std::string(out.c_str()) + "`";
}

struct ReferenceSection {
  std::string_view prefix;
  std::string_view title;
  std::string_view text;
};

constexpr ReferenceSection kReferenceSections[] = {
    {"", "Top level", ""},
    {"gpu.", "gpu", "How device memory is measured."},
    {"limits.", "limits", "Everything that can grow has a named limit."},
    {"devices[].", "devices", "A list. Without it all devices of the driver are used, as gpu0, gpu1, ..."},
    {"consumers.*.", "consumers.*",
     "A mapping from the name of each consumer to its keys. The name is its path on the gateway, "
     "`/c/NAME/...`, and also selects it as the `model` of a request."},
    {"consumers.*.busy.", "consumers.*.busy",
     "For services that answer before the GPU is done (ComfyUI's queue): the turn is kept until this request "
     "returns `idle`."},
    {"consumers.*.runner.process.", "consumers.*.runner.process",
     "A process that the daemon starts, watches and stops."},
    {"consumers.*.runner.systemd.", "consumers.*.runner.systemd",
     "A systemd unit, controlled over D-Bus; its output is read from the journal."},
    {"consumers.*.runner.container.", "consumers.*.runner.container",
     "A Docker or Podman container: an existing one (`name`), or one created anew at each start (`image` and "
     "the other keys)."},
};

// A key is in the section whose prefix leaves a name without dots.
bool is_in_section(const Key& key, const ReferenceSection& section) {
  if (!key.path.starts_with(section.prefix)) return false;
  return key.path.find('.', section.prefix.size()) == std::string::npos;
}

std::string escape_table_cell(std::string text) {
  for (std::size_t at = 0; (at = text.find('|', at)) != std::string::npos; at += 2) text.insert(at, "\\");
  return text;
}

// Any value may be written as a macro or a variable instead.
Json with_variables(const Json& schema) {
  const bool is_any_text = schema.value("type", Json()) == "string" && !schema.contains("pattern");
  const bool is_scalar = schema.contains("enum") || schema.contains("minimum") ||
                         schema.contains("pattern") || schema.value("type", Json()) == "boolean";
  if (is_any_text || !is_scalar) return schema;
  return {{"anyOf", Json::array({schema, {{"$ref", "#/$defs/variable"}}})}};
}

// Adds the schema of one key to that of the mapping `node`, creating the mappings in between.
void set_key_schema(Json& node, const std::vector<std::string>& parts, std::size_t from, const Key& key) {
  std::string name = parts[from];
  const bool list = name.ends_with("[]");
  if (list) name.resize(name.size() - 2);
  // This comes first: a new member of an ordered_json object invalidates references to the others.
  if (!node.contains("patternProperties")) node["patternProperties"]["^x-"] = Json::object();
  if (name != "*" && !node.contains("additionalProperties")) node["additionalProperties"] = false;
  Json& child = name == "*" ? node["additionalProperties"] : node["properties"][name];
  if (from + 1 == parts.size()) {
    child = with_variables(key.type.schema);
    child["description"] = key.description;
    if (key.required) node["required"].push_back(name);
    return;
  }
  if (child.contains("const"))
    child = Json{{"oneOf", Json::array({child, Json{{"type", "object"}}})}};  // runner: external | mapping
  if (list) child["type"] = "array";
  Json& inner = child.contains("oneOf") ? child["oneOf"][1] : list ? child["items"] : child;
  inner["type"] = name == "consumers" || name == "*" ? Json::array({"object", "null"}) : Json("object");
  set_key_schema(inner, parts, from + 1, key);
}

}  // namespace

std::string to_yaml(const Config& config) {
  Config copy = config;  // the rows' accessors need a mutable config
  YAML::Node top = subtree_to_yaml("", "", {.config = &copy});
  for (std::size_t i = 0; i < copy.devices.size(); ++i)
    top["devices"].push_back(
        subtree_to_yaml("devices[].", fmt::format("devices[{}].", i), {&copy, &copy.devices[i]}));
  for (ConsumerConfig& consumer : copy.consumers)
    top["consumers"][consumer.name] = subtree_to_yaml(
        "consumers.*.", fmt::format("consumers.{}.", consumer.name), {&copy, nullptr, &consumer});
  YAML::Emitter out;
  out << top;
  return std::string(out.c_str()) + "\n";
}

std::string reference_page() {
  std::string page =
      "# Configuration\n\n"
      "<!-- Made by `mgpu config reference`; do not edit. -->\n\n"
      "One YAML file: `mgpu serve --config mgpu.yaml`. `mgpu config check` lists all errors in it, "
      "`mgpu config show` prints it with every default, `mgpu config schema` prints a JSON schema for "
      "editors.\n\n"
      "Amounts of memory: `14GiB`, `512MiB`, `1.5G` (powers of 1024), `8GB` (powers of 1000). "
      "Durations: `250ms`, `30s`, `15m`, `1h30m`. No amount is larger than " +
      to_exact_string(kLargestBytes) + ", no duration longer than " + mgpu::to_string(kLongestDuration) +
      ". Less than 1 MiB needs a unit (`64KiB`, `100B`).\n\n"
      "## Variables and anchors\n\n"
      "In any value, `${NAME}` is the macro NAME of the mapping `macros`, and `${env.NAME}` the environment "
      "variable NAME of the process that reads the file. One that is not set is an error. `${PORT}` is the "
      "port that "
      "the daemon chooses for a consumer, in its `url`, `command`, `env` and `ports`. `$${` is the text "
      "`${`. Values of "
      "environment variables are never shown: errors and `mgpu config show` have `${env.NAME}` in their "
      "place. Within "
      "a command such a value is part of one word, whatever blanks and quotes it contains. Within `{ }` and "
      "`[ ]`, "
      "YAML needs quotes around `\"${...}\"`.\n\n"
      "YAML's anchors, aliases and merge keys (`<<: *common`, `<<: [*first, *second]`) work; keys that begin "
      "with `x-` "
      "are not read, so that they can hold anchors:\n\n"
      "```yaml\n"
      "x-llm: &llm {kind: llm, footprint: 14GiB, idle_unload: 15m}\n"
      "macros:\n"
      "  server: llama-server --port ${PORT} -ngl 99\n"
      "consumers:\n"
      "  chat:\n"
      "    <<: *llm\n"
      "    runner:\n"
      "      process:\n"
      "        command: |\n"
      "          ${server} \\\n"
      "            -m ${env.HOME}/models/chat.gguf  # as in a shell script\n"
      "        env: {HF_TOKEN: \"${env.HF_TOKEN}\"}\n"
      "```\n";
  for (const ReferenceSection& section : kReferenceSections) {
    page += fmt::format("\n## {}\n\n", section.title);
    if (!section.text.empty()) page += fmt::format("{}\n\n", section.text);
    page += "| key | type | default | meaning | example |\n|---|---|---|---|---|\n";
    for (const Key& key : keys()) {
      if (!is_in_section(key, section)) continue;
      page += fmt::format("| `{}` | {} | {} | {} | `{}` |\n", key.path.substr(section.prefix.size()),
                          escape_table_cell(key.type.name), escape_table_cell(default_text(key)),
                          escape_table_cell(key.description), escape_table_cell(key.example));
    }
  }
  return page;
}

std::string json_schema() {
  Json schema{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
              {"title", "mgpu.yaml"},
              {"type", "object"},
              {"$defs", {{"variable", {{"type", "string"}, {"pattern", R"(\$\{.+\})"}}}}}};
  for (const Key& key : keys()) set_key_schema(schema, split_path(key.path), 0, key);
  return schema.dump(2) + "\n";
}

}  // namespace mgpu::config
