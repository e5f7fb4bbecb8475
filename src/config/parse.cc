// Reading a configuration: walk the YAML beside the table of keys, note every complaint, go on.
//
// Two paths go along on the walk: the table's ("consumers.*.url", with which keys are found) and the file's
// ("consumers.chat.url", which people read and under which the place in the text is remembered).
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
  Parser(const std::string& file, bool look_for_files) : file_(file), look_for_files_(look_for_files) {}

  Parsed parse(const std::string& text) {
    try {
      const YAML::Node top = YAML::Load(text);
      if (!top.IsNull()) mapping(top, "", "", {.config = &parsed_.config});
    } catch (const YAML::Exception& error) {  // yaml-cpp's only way to report a syntax error
      complain(error.mark, "", "not valid YAML: " + error.msg);
      return std::move(parsed_);
    }
    complete(parsed_.config, marks_);
    for (Complaint& complaint : check(parsed_.config, marks_, file_, look_for_files_)) {
      // A value that could not be read has its complaint already.
      if (!refused_.contains(complaint.key)) parsed_.complaints.push_back(std::move(complaint));
    }
    std::ranges::sort(parsed_.complaints, {},
                      [](const Complaint& c) { return std::tuple(c.line, c.column, c.key); });
    return std::move(parsed_);
  }

 private:
  void complain(const YAML::Mark& mark, const std::string& path, std::string what) {
    const bool known = !mark.is_null();
    parsed_.complaints.push_back({.file = file_,
                                  .line = known ? mark.line + 1 : 0,
                                  .column = known ? mark.column + 1 : 0,
                                  .key = path,
                                  .what = std::move(what)});
    refused_.insert(path);
  }

  // Calls each(name, path, key node, value node) for every key of a mapping that is there once.
  template <class Each>
  void for_each_key(const YAML::Node& node, const std::string& path, Each each) {
    if (node.IsNull()) return;  // "consumers:" with nothing below it
    if (!node.IsMap()) return complain(node.Mark(), path, "expected a mapping of keys");
    std::set<std::string> seen;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) {
        complain(entry.first.Mark(), path, "a key must be a plain word");
        continue;
      }
      const std::string& name = entry.first.Scalar();
      const std::string key_path = joined_path(path, name);
      if (!seen.insert(name).second) {
        complain(entry.first.Mark(), key_path, "is there twice");
        continue;
      }
      marks_[key_path] = entry.first.Mark();
      each(name, key_path, entry.first, entry.second);
    }
  }

  // `pattern` is the table's path of this mapping, `path` the file's.
  void mapping(const YAML::Node& node, const std::string& pattern, const std::string& path, Place place) {
    const std::vector<std::string> known = names_in(pattern);
    for_each_key(
        node, path,
        [&](const std::string& name, const std::string& at, const YAML::Node& key, const YAML::Node& value) {
          if (std::ranges::find(known, name) == known.end())
            return complain(key.Mark(), at, "unknown key" + hint(name, known, pattern));
          entry(value, joined_path(pattern, name), at, place);
        });
    for (const std::string& name : known) require(node, pattern, path, name);
  }

  void entry(const YAML::Node& value, const std::string& pattern, const std::string& path, Place place) {
    if (pattern == "devices") return devices(value, path, place);
    if (pattern == "consumers") return consumers(value, path, place);
    const Key* key = find_key(pattern);
    const bool group = !names_in(pattern).empty();
    if (key == nullptr || (group && value.IsMap())) return mapping(value, pattern, path, place);
    if (value.IsNull()) return complain(value.Mark(), path, "has no value");
    marks_[path] = value.Mark();
    if (const Read read = key->read(value, place); !read)
      complain(read.error().mark, path, read.error().what);
  }

  void devices(const YAML::Node& node, const std::string& path, Place place) {
    if (node.IsNull()) return;
    if (!node.IsSequence()) return complain(node.Mark(), path, "expected a list (- id: gpu0)");
    parsed_.config.devices.reserve(node.size());  // `place` points into it
    for (std::size_t i = 0; i < node.size(); ++i) {
      place.device = &parsed_.config.devices.emplace_back();
      const std::string at = path + "[" + std::to_string(i) + "]";
      marks_[at] = node[i].Mark();
      mapping(node[i], "devices[]", at, place);
    }
  }

  void consumers(const YAML::Node& node, const std::string& path, Place place) {
    if (node.IsMap()) parsed_.config.consumers.reserve(node.size());  // `place` points into it
    for_each_key(
        node, path,
        [&](const std::string& name, const std::string& at, const YAML::Node&, const YAML::Node& value) {
          place.consumer = &parsed_.config.consumers.emplace_back();
          place.consumer->name = name;
          mapping(value, "consumers.*", at, place);
        });
  }

  void require(const YAML::Node& node, const std::string& pattern, const std::string& path,
               const std::string& name) {
    const Key* key = find_key(joined_path(pattern, name));
    if (key == nullptr || !key->required || marks_.contains(joined_path(path, name))) return;
    complain(node.Mark(), joined_path(path, name),
             "is missing (for example: " + name + ": " + key->example + ")");
  }

  // What an unknown key was meant to be: a known one, or one that belongs elsewhere.
  static std::string hint(const std::string& name, const std::vector<std::string>& known,
                          const std::string& pattern) {
    if (const std::string meant = nearest(name, known); !meant.empty())
      return ", did you mean \"" + meant + "\"?";
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
  const bool look_for_files_;
  Parsed parsed_;
  Marks marks_;
  std::set<std::string> refused_;  // paths that have a complaint already
};

}  // namespace

std::string to_string(const Complaint& complaint) {
  std::string text = complaint.file;
  if (complaint.line > 0)
    text += ":" + std::to_string(complaint.line) + ":" + std::to_string(complaint.column);
  text += ": ";
  if (!complaint.key.empty()) text += complaint.key + ": ";
  return text + complaint.what;
}

Parsed parse(const std::string& text, const std::string& file) { return Parser(file, false).parse(text); }

Parsed parse_file(const std::string& path, LookFor what) {
  const auto unreadable = [&](std::error_code why) {
    return Parsed{.complaints = {{.file = path, .what = "can't be read: " + why.message()}}};
  };
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return unreadable(std::make_error_code(std::errc::is_a_directory));
  std::ifstream file(path, std::ios::binary);
  if (!file) return unreadable(std::error_code(errno, std::generic_category()));
  return Parser(path, what == LookFor::words_and_files)
      .parse(std::string(std::istreambuf_iterator<char>(file), {}));
}

}  // namespace mgpu::config
