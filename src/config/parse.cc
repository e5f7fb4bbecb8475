// Parses a configuration: reads the YAML document, resolves its merge keys, defines its macros, walks the
// tree, looks up each key in the table, and collects all diagnostics.
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
#include <utility>

#include "config/check.h"
#include "config/config.h"
#include "config/document.h"
#include "config/hidden_values.h"
#include "config/keys.h"
#include "config/merge_keys.h"
#include "config/shell_words.h"
#include "config/spelling.h"
#include "config/variables.h"

namespace mgpu::config {
namespace {

// Keys for anchors and for other programs: they are not read.
bool is_extension(std::string_view name) { return name.starts_with("x-"); }

class Parser {
 public:
  Parser(const std::string& file, bool check_files) : file_(file), check_files_(check_files) {}

  ParseResult parse(const std::string& text) {
    Document document = load_document(text);
    if (document.is_readable) resolve_merge_keys(document.top, document.errors);
    for (ValueError& error : document.errors) {
      report(error.mark, "", std::move(error.message));
      document_marks_.emplace(error.mark.line, error.mark.column);
    }
    if (document.is_readable) read_document(document.top);
    std::ranges::sort(result_.diagnostics, {},
                      [](const Diagnostic& c) { return std::tuple(c.line, c.column, c.key); });
    return std::move(result_);
  }

 private:
  void read_document(const Node& top) {
    if (const Node* macros = find_item(top, "macros"))
      for (ValueError& error : variables_.define_macros(*macros))
        report(error.mark, "macros", std::move(error.message));
    if (!top.is_null()) read_mapping(top, "", "", {.config = &result_.config});
    for (ConsumerConfig& consumer : result_.config.consumers)
      for (const EnvironmentUse& use : result_.config.environment)
        if (use.key.starts_with("consumers." + consumer.name + ".")) consumer.environment.push_back(use);
    fill_derived_values(result_.config, marks_);
    for (Diagnostic& diagnostic : check(result_.config, marks_, file_, check_files_)) {
      // A value that could not be read has been reported already; the check saw its default.
      if (reported_paths_.contains(diagnostic.key)) continue;
      diagnostic.message = hide_environment(diagnostic);
      result_.diagnostics.push_back(std::move(diagnostic));
    }
  }

  // The checks quote values. Those of the key itself are hidden however short they are.
  std::string hide_environment(const Diagnostic& diagnostic) const {
    const std::vector<EnvironmentUse>& uses = result_.config.environment;
    return hide_values(hide_values(diagnostic.message, uses_of_key(uses, diagnostic.key), 1), uses);
  }

  void report(const Mark& mark, const std::string& path, std::string message) {
    reported_paths_.insert(path);
    if (document_marks_.contains({mark.line, mark.column})) return;
    result_.diagnostics.push_back({.file = file_,
                                   .line = mark.line,
                                   .column = mark.column,
                                   .key = path,
                                   .message = std::move(message)});
  }

  // Calls each(name, path, key node, value node) for every key of a mapping. Reports and skips duplicates.
  template <class Each>
  void for_each_key(const Node& node, const std::string& path, Each each) {
    if (node.is_null()) return;  // "consumers:" with nothing below it
    if (!node.is_map())
      return report(node.mark, path, "expected a mapping (KEY: VALUE), found " + describe(node));
    std::set<std::string> seen;
    for (std::size_t i = 0; i < node.keys.size(); ++i) {
      const Node& key = node.keys[i];
      if (!key.is_scalar()) {
        report(key.mark, path, "a key must be a plain word, found " + describe(key));
        continue;
      }
      const std::string key_path = join_path(path, key.text);
      if (!seen.insert(key.text).second) {
        report(key.mark, key_path, "is there twice: remove one of them");
        continue;
      }
      marks_[key_path] = key.mark;
      each(key.text, key_path, key, node.items[i]);
    }
  }

  void read_mapping(const Node& node, const std::string& pattern, const std::string& path,
                    KeyContext context) {
    const std::vector<std::string> known = child_names(pattern);
    for_each_key(
        node, path,
        [&](const std::string& name, const std::string& key_path, const Node& key, const Node& value) {
          if (is_extension(name)) return;
          if (std::ranges::find(known, name) == known.end())
            return report(key.mark, key_path, "unknown key" + unknown_key_hint(name, known, pattern));
          read_entry(value, join_path(pattern, name), key_path, context);
        });
    for (const std::string& name : known) check_required(node, pattern, path, name);
  }

  void read_entry(const Node& value, const std::string& pattern, const std::string& path,
                  KeyContext context) {
    if (pattern == "devices") return read_devices(value, path, context);
    if (pattern == "consumers") return read_consumers(value, path, context);
    const Key* key = find_key(pattern);
    const bool group = !child_names(pattern).empty();
    if (key == nullptr || (group && value.is_map())) return read_mapping(value, pattern, path, context);
    if (value.is_null()) return report(value.mark, path, "has no value (for example: " + key->example + ")");
    marks_[path] = value.mark;
    read_value(value, *key, path, context);
  }

  void read_value(Node value, const Key& key, const std::string& path, KeyContext context) {
    if (key.is_command_line && value.is_scalar())
      value.text = without_shell_comments(value.unfolded.empty() ? value.text : value.unfolded);
    if (key.path != "macros") {
      const std::vector<ValueError> errors = variables_.replace(value, key.allows_port);
      for (const ValueError& error : errors) report(error.mark, path, error.message);
      if (!errors.empty()) return;
      note_environment(value, path, value.is_scalar() ? shown_text(value) : "");
    }
    for (ValueError& error : key.read(value, context)) report(error.mark, path, std::move(error.message));
  }

  void note_environment(const Node& value, const std::string& path, const std::string& written) {
    for (const Substitution& part : value.substitutions)
      if (!part.variable.empty())
        result_.config.environment.push_back(
            {path, written, part.variable, value.text.substr(part.from, part.size)});
    for (const Node& key : value.keys) note_environment(key, path, written);
    for (const Node& item : value.items) note_environment(item, path, written);
  }

  void read_devices(const Node& node, const std::string& path, KeyContext context) {
    if (node.is_null()) return;
    if (!node.is_list())
      return report(node.mark, path, "expected a list (- id: gpu0), found " + describe(node));
    result_.config.devices.reserve(node.items.size());  // context points into it
    for (std::size_t i = 0; i < node.items.size(); ++i) {
      const Node& item = node.items[i];
      const std::string item_path = path + "[" + std::to_string(i) + "]";
      if (item.is_scalar()) {
        report(item.mark, item_path, "expected a mapping: write {id: " + item.text + "}");
        continue;
      }
      context.device = &result_.config.devices.emplace_back();
      marks_[item_path] = item.mark;
      read_mapping(item, "devices[]", item_path, context);
    }
  }

  void read_consumers(const Node& node, const std::string& path, KeyContext context) {
    if (node.is_list())
      return report(node.mark, path,
                    "expected a mapping from the name of each consumer to its keys, found a list");
    result_.config.consumers.reserve(node.items.size());  // context points into it
    for_each_key(
        node, path,
        [&](const std::string& name, const std::string& consumer_path, const Node& key, const Node& value) {
          if (is_extension(name)) {
            if (!value.anchored)
              report(key.mark, consumer_path,
                     "names that begin with x- are kept for anchors: choose another, or add an &anchor");
            return;
          }
          context.consumer = &result_.config.consumers.emplace_back();
          context.consumer->name = name;
          read_mapping(value, "consumers.*", consumer_path, context);
        });
  }

  void check_required(const Node& node, const std::string& pattern, const std::string& path,
                      const std::string& name) {
    const Key* key = find_key(join_path(pattern, name));
    if (key == nullptr || !key->required || marks_.contains(join_path(path, name))) return;
    report(node.mark, join_path(path, name), "is missing (for example: " + name + ": " + key->example + ")");
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
  Variables variables_{process_environment};
  SourceMarks marks_{};
  std::set<std::string> reported_paths_{};          // paths that have a diagnostic already
  std::set<std::pair<int, int>> document_marks_{};  // lines and columns with an error of the document
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
