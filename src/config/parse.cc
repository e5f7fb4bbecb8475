// Parses a configuration: walks the YAML tree, looks up each key in the table, and collects all diagnostics.
//
// The walk keeps two paths: `pattern` is the path in the table ("consumers.*.url"), used to find rows; `path`
// is the path in the file ("consumers.chat.url"), used in diagnostics and as the key of SourceMarks.
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <system_error>
#include <tuple>

#include <yaml-cpp/yaml.h>

#include "config/check.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/spelling.h"

namespace mgpu::config {
namespace {

class Parser {
 public:
  Parser(const std::string& file, bool check_files) : file_(file), check_files_(check_files) {}

  ParseResult parse(const std::string& text) {
    try {
      const YAML::Node top = YAML::Load(text);
      if (!top.IsNull()) read_mapping(top, "", "", {.config = &result_.config});
    } catch (const YAML::Exception& error) {  // yaml-cpp's only way to report a syntax error
      report(error.mark, "", "not valid YAML: " + error.msg);
      return std::move(result_);
    }
    fill_derived_values(result_.config, marks_);
    for (Diagnostic& diagnostic : check(result_.config, marks_, file_, check_files_)) {
      // A value that could not be read has been reported already; the check saw its default.
      if (!reported_paths_.contains(diagnostic.key)) result_.diagnostics.push_back(std::move(diagnostic));
    }
    std::ranges::sort(result_.diagnostics, {},
                      [](const Diagnostic& c) { return std::tuple(c.line, c.column, c.key); });
    return std::move(result_);
  }

 private:
  void report(const YAML::Mark& mark, const std::string& path, std::string message) {
    const bool known = !mark.is_null();
    result_.diagnostics.push_back({.file = file_,
                                   .line = known ? mark.line + 1 : 0,
                                   .column = known ? mark.column + 1 : 0,
                                   .key = path,
                                   .message = std::move(message)});
    reported_paths_.insert(path);
  }

  // Calls each(name, path, key node, value node) for every key of a mapping. Reports and skips duplicates.
  template <class Each>
  void for_each_key(const YAML::Node& node, const std::string& path, Each each) {
    if (node.IsNull()) return;  // "consumers:" with nothing below it
    if (!node.IsMap()) return report(node.Mark(), path, "expected a mapping (KEY: VALUE)");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        report(entry.first.Mark(), path, "a key must be a plain word, not a list or mapping");
        continue;
      }
      const std::string& name = entry.first.Scalar();
      const std::string key_path = join_path(path, name);
      if (!seen.insert(name).second) {
        report(entry.first.Mark(), key_path, "is there twice: remove one of them");
        continue;
      }
      marks_[key_path] = entry.first.Mark();
      each(name, key_path, entry.first, entry.second);
    }
  }

  void read_mapping(const YAML::Node& node, const std::string& pattern, const std::string& path,
                    KeyContext context) {
    const std::vector<std::string> known = child_names(pattern);
    for_each_key(node, path,
                 [&](const std::string& name, const std::string& key_path, const YAML::Node& key,
                     const YAML::Node& value) {
                   if (std::ranges::find(known, name) == known.end())
                     return report(key.Mark(), key_path,
                                   "unknown key" + unknown_key_hint(name, known, pattern));
                   read_entry(value, join_path(pattern, name), key_path, context);
                 });
    for (const std::string& name : known) check_required(node, pattern, path, name);
  }

  void read_entry(const YAML::Node& value, const std::string& pattern, const std::string& path,
                  KeyContext context) {
    if (pattern == "devices") return read_devices(value, path, context);
    if (pattern == "consumers") return read_consumers(value, path, context);
    const Key* key = find_key(pattern);
    const bool group = !child_names(pattern).empty();
    if (key == nullptr || (group && value.IsMap())) return read_mapping(value, pattern, path, context);
    if (value.IsNull()) return report(value.Mark(), path, "has no value (for example: " + key->example + ")");
    marks_[path] = value.Mark();
    if (const ReadResult read = key->read(value, context); !read)
      report(read.error().mark, path, read.error().message);
  }

  void read_devices(const YAML::Node& node, const std::string& path, KeyContext context) {
    if (node.IsNull()) return;
    if (!node.IsSequence()) return report(node.Mark(), path, "expected a list (- id: gpu0)");
    result_.config.devices.reserve(node.size());  // context points into it
    for (std::size_t i = 0; i < node.size(); ++i) {
      context.device = &result_.config.devices.emplace_back();
      const std::string item_path = path + "[" + std::to_string(i) + "]";
      marks_[item_path] = node[i].Mark();
      read_mapping(node[i], "devices[]", item_path, context);
    }
  }

  void read_consumers(const YAML::Node& node, const std::string& path, KeyContext context) {
    if (node.IsMap()) result_.config.consumers.reserve(node.size());  // context points into it
    for_each_key(node, path,
                 [&](const std::string& name, const std::string& consumer_path, const YAML::Node&,
                     const YAML::Node& value) {
                   context.consumer = &result_.config.consumers.emplace_back();
                   context.consumer->name = name;
                   read_mapping(value, "consumers.*", consumer_path, context);
                 });
  }

  void check_required(const YAML::Node& node, const std::string& pattern, const std::string& path,
                      const std::string& name) {
    const Key* key = find_key(join_path(pattern, name));
    if (key == nullptr || !key->required || marks_.contains(join_path(path, name))) return;
    report(node.Mark(), join_path(path, name),
           "is missing (for example: " + name + ": " + key->example + ")");
  }

  // A hint for an unknown key: the nearest known one, or the mapping in which this key is allowed.
  static std::string unknown_key_hint(const std::string& name, const std::vector<std::string>& known,
                                      const std::string& pattern) {
    if (const std::string suggestion = closest_match(name, known); !suggestion.empty())
      return ", did you mean \"" + suggestion + "\"?";
    for (const Key& key : keys()) {
      const std::size_t dot = key.path.rfind('.');
      if (dot == std::string::npos || key.path.substr(dot + 1) != name || dot == pattern.size()) continue;
      return "; \"" + name + "\" belongs in " + key.path.substr(0, dot);
    }
    std::string names;
    for (const std::string& one : known) names += (names.empty() ? "" : ", ") + one;
    return known.size() > 8 ? "" : " (known here: " + names + ")";
  }

  const std::string& file_;
  const bool check_files_;
  ParseResult result_;
  SourceMarks marks_;
  std::set<std::string> reported_paths_;  // paths that have a diagnostic already
};

}  // namespace

std::string to_string(const Diagnostic& diagnostic) {
  std::string text = diagnostic.file;
  if (diagnostic.line > 0)
    text += ":" + std::to_string(diagnostic.line) + ":" + std::to_string(diagnostic.column);
  text += ": ";
  if (!diagnostic.key.empty()) text += diagnostic.key + ": ";
  return text + diagnostic.message;
}

ParseResult parse(const std::string& text, const std::string& file) {
  return Parser(file, false).parse(text);
}

ParseResult parse_file(const std::string& path, CheckScope scope) {
  const auto unreadable_file = [&](std::error_code error) {
    return ParseResult{.diagnostics = {{.file = path, .message = "can't be read: " + error.message()}}};
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return unreadable_file(std::make_error_code(std::errc::is_a_directory));
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable_file(std::error_code(errno, std::generic_category()));
  return Parser(path, scope == CheckScope::text_and_files)
      .parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace mgpu::config
