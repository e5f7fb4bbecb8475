#include "config/document.h"

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "config/characters.h"
#include "config/syntax_hint.h"

namespace mgpu::config {
namespace {

constexpr std::string_view kByteOrderMark = "\uFEFF";
constexpr std::string_view kCoreTagPrefix = "tag:yaml.org,2002:";

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (std::size_t from = 0; from <= text.size();) {
    const std::size_t to = std::min(text.find('\n', from), text.size());
    std::string_view line = text.substr(from, to - from);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    from = to + 1;
  }
  return lines;
}

// The position of a byte of a line, in characters.
int column_of(std::string_view line, std::size_t byte) {
  const auto is_first_byte = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
  return 1 + static_cast<int>(std::ranges::count_if(line.substr(0, byte), is_first_byte));
}

// What makes the text unfit to be read as YAML at all.
std::optional<ValueError> find_unreadable_text(std::string_view text,
                                               const std::vector<std::string_view>& lines) {
  if (text.size() > kMaxDocumentBytes)
    return ValueError{
        {}, "is too large: a configuration has at most " + std::to_string(kMaxDocumentBytes) + " bytes"};
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const auto error_at = [&](std::size_t byte, std::string message) {
      return ValueError{{static_cast<int>(i) + 1, column_of(lines[i], byte)}, std::move(message)};
    };
    if (const auto at = find_invalid_utf8(lines[i]))
      return error_at(*at, "is not UTF-8: save the file as UTF-8");
    for (std::size_t at = 0; at < lines[i].size(); ++at)
      if (const auto name = control_character(lines[i].substr(at)))
        return error_at(at,
                        "the control character " + *name + " is here: remove it (or save the file as UTF-8)");
  }
  return std::nullopt;
}

// Builds the tree from the parser's events. After an error that leaves no tree it ignores the rest.
class TreeBuilder : public YAML::EventHandler {
 public:
  TreeBuilder(const std::vector<std::string_view>& lines, Document& document)
      : lines_(lines), document_(document) {}

  Mark to_mark(const YAML::Mark& mark) const {
    if (mark.is_null()) return {};
    const auto line = static_cast<std::size_t>(std::max(mark.line, 0));
    const auto byte = static_cast<std::size_t>(std::max(mark.column, 0));
    return {mark.line + 1, line < lines_.size() ? column_of(lines_[line], byte) : mark.column + 1};
  }

  // At a sign that can't begin a value, such as ], the parser finds empty documents without end.
  void OnDocumentStart(const YAML::Mark& mark) override {
    const Mark begin = to_mark(mark);
    const bool is_stuck =
        documents_ > 0 && begin.line == document_mark_.line && begin.column == document_mark_.column;
    document_mark_ = begin, ++documents_;
    if (is_stuck)
      stop(begin, "not valid YAML: no value begins like this, and none is open that it could end");
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    add_leaf({.mark = to_mark(mark)}, anchor);
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    Node node{.kind = Node::Kind::scalar, .mark = to_mark(mark), .text = text, .plain = tag == "?"};
    check_tag(tag, node.mark);
    if (node.plain)
      check_plain_text(node);
    else
      node.unfolded = unfolded_lines(mark);
    add_leaf(std::move(node), anchor);
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin_collection({.kind = Node::Kind::list, .mark = to_mark(mark)}, tag, anchor);
  }
  void OnSequenceEnd() override { end_collection(); }

  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    begin_collection({.kind = Node::Kind::map, .mark = to_mark(mark)}, tag, anchor,
                     style == YAML::EmitterStyle::Block);
  }
  void OnMapEnd() override { end_collection(); }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    if (!accepts(to_mark(mark))) return;
    const auto known = anchors_.find(anchor);
    if (known == anchors_.end())
      return add_error(to_mark(mark), "the alias is a part of what it stands for: it would have no end"),
             attach({});
    const Anchor& found = known->second;
    if (count(found.values, found.text, to_mark(mark)) && fits_depth(found.depth, to_mark(mark)))
      attach(found.node, found.depth);
  }

 private:
  struct Anchor {
    Node node{};
    std::size_t values = 0;  // including those of its parts
    std::size_t text = 0;    // bytes
    std::size_t depth = 0;
  };
  struct Open {
    Node node{};
    YAML::anchor_t anchor = 0;
    std::size_t values_before = 0;
    std::size_t text_before = 0;
    std::size_t depth = 1;  // of its deepest part
    bool is_block = false;
    std::optional<Node> key{};  // of a map: its value comes next
  };

  void add_error(const Mark& mark, std::string message) {
    document_.errors.push_back({mark, std::move(message)});
  }

  void stop(const Mark& mark, std::string message) {
    if (document_.is_readable) add_error(mark, std::move(message));
    document_.is_readable = false;
  }

  // Whether a value at `mark` is still read. Reports a second document at its first value.
  bool accepts(const Mark& mark) {
    if (documents_ > 1) {
      const Mark begin = document_mark_.line > 0 ? document_mark_ : mark;
      stop(begin, "a second YAML document begins here, but only one is read: " +
                      std::string(is_marked_begin(begin) ? "remove the line --- or ..., or use two files"
                                                         : "is the text before it indented?"));
    }
    return document_.is_readable;
  }

  // Whether a line --- or ... begins the document. Otherwise the text before it ends a mapping without a
  // parent.
  bool is_marked_begin(const Mark& mark) const {
    const auto line = static_cast<std::size_t>(mark.line) - 1;
    return line >= lines_.size() || lines_[line].starts_with("---") ||
           (line > 0 && lines_[line - 1].starts_with("..."));
  }

  bool count(std::size_t values, std::size_t text, const Mark& mark) {
    values_ += values, text_ += text;
    if (values_ > kMaxValues || text_ > kMaxScalarBytes)
      stop(mark, "is too large once its aliases are replaced: at most " + std::to_string(kMaxValues) +
                     " values and " + std::to_string(kMaxScalarBytes) + " bytes");
    return document_.is_readable;
  }

  bool fits_depth(std::size_t depth, const Mark& mark) {
    if (open_.size() + depth > kMaxNesting)
      stop(mark, "is nested too deeply: at most " + std::to_string(kMaxNesting) + " levels");
    return document_.is_readable;
  }

  void check_tag(const std::string& tag, const Mark& mark) {
    static constexpr std::string_view kCoreTypes[] = {"str", "int", "float", "bool", "null", "seq", "map"};
    if (tag == "?" || tag == "!" || tag.empty()) return;
    const bool is_core = tag.starts_with(kCoreTagPrefix);
    if (is_core && std::ranges::find(kCoreTypes, tag.substr(kCoreTagPrefix.size())) != std::end(kCoreTypes))
      return;
    add_error(mark, "the tag " + in_quotes(is_core ? "!!" + tag.substr(kCoreTagPrefix.size()) : tag) +
                        " means nothing here: remove it (in quotes if it is text)");
  }

  void check_plain_text(const Node& node) {
    if (const auto problem = find_odd_character(node.text))
      add_error(node.mark, in_quotes(node.text) + " " + *problem);
  }

  // Of a folded scalar: its lines without their common indentation, as a literal one (|) would give them.
  std::string unfolded_lines(const YAML::Mark& mark) const {
    const auto header_line = static_cast<std::size_t>(mark.line);
    if (mark.is_null() || header_line >= lines_.size()) return {};
    std::string_view header = lines_[header_line].substr(
        std::min(static_cast<std::size_t>(mark.column), lines_[header_line].size()));
    while (header.starts_with('&') || header.starts_with('!')) {  // its anchor or tag comes first
      header.remove_prefix(std::min(header.find(' '), header.size()));
      header.remove_prefix(std::min(header.find_first_not_of(' '), header.size()));
    }
    if (!header.starts_with('>')) return {};
    std::string text;
    std::optional<std::size_t> indentation;
    for (std::size_t i = header_line + 1; i < lines_.size(); ++i) {
      const std::string_view line = lines_[i];
      const std::size_t blanks = line.find_first_not_of(' ');
      if (blanks != std::string_view::npos) {
        if (!indentation) indentation = blanks;
        if (blanks < *indentation || *indentation == 0) break;
        text += line.substr(*indentation);
      }
      text += '\n';
    }
    return text;
  }

  void add_leaf(Node node, YAML::anchor_t anchor) {
    if (!accepts_value(node) || !count(1, node.text.size(), node.mark)) return;
    node.anchored = anchor != 0;
    if (anchor != 0) anchors_[anchor] = {node, 1, node.text.size(), 0};
    attach(std::move(node));
  }

  // An empty second document is no error: a line --- at the end of the file.
  bool accepts_value(const Node& node) {
    return documents_ > 1 && node.is_null() && open_.empty() ? false : accepts(node.mark);
  }

  void begin_collection(Node node, const std::string& tag, YAML::anchor_t anchor, bool is_block = false) {
    if (!accepts(node.mark) || !fits_depth(1, node.mark)) return;
    check_tag(tag, node.mark);
    node.anchored = anchor != 0;
    open_.push_back({.node = std::move(node),
                     .anchor = anchor,
                     .values_before = values_,
                     .text_before = text_,
                     .is_block = is_block});
  }

  void end_collection() {
    if (!document_.is_readable) return;
    Open closed = std::move(open_.back());
    open_.pop_back();
    if (!count(1, 0, closed.node.mark)) return;
    if (closed.anchor != 0)
      anchors_[closed.anchor] = {closed.node, values_ - closed.values_before, text_ - closed.text_before,
                                 closed.depth};
    attach(std::move(closed.node), closed.depth);
  }

  // Adds a complete value to the collection around it.
  void attach(Node node, std::size_t depth = 0) {
    if (open_.empty()) {
      document_.top = std::move(node);
      return;
    }
    Open& parent = open_.back();
    parent.depth = std::max(parent.depth, depth + 1);
    if (parent.node.is_map() && !parent.key) {
      parent.key = std::move(node);
      return;
    }
    if (parent.key) {
      complete_null(node, *parent.key, parent.is_block);
      parent.node.keys.push_back(*std::exchange(parent.key, std::nullopt));
    }
    parent.node.items.push_back(std::move(node));
  }

  // The parser reports an absent value at whatever comes next, and takes a line without a colon for a key.
  void complete_null(Node& value, const Node& key, bool is_block) {
    if (!value.is_null()) return;
    if (is_block && value.mark.line == key.mark.line && value.mark.column == key.mark.column &&
        key.is_scalar())
      add_error(key.mark, in_quotes(key.text) + " has no colon after it: write KEY: VALUE");
    value.mark = key.mark;
  }

  const std::vector<std::string_view>& lines_;
  Document& document_;
  Mark document_mark_{};
  int documents_ = 0;
  std::size_t values_ = 0;  // so far, with those that aliases repeat
  std::size_t text_ = 0;
  std::vector<Open> open_{};  // the collections around the next value, the innermost last
  std::map<YAML::anchor_t, Anchor> anchors_{};
};

}  // namespace

Document load_document(std::string_view text) {
  if (text.starts_with(kByteOrderMark)) text.remove_prefix(kByteOrderMark.size());
  const std::vector<std::string_view> lines = split_lines(text);
  Document document;
  if (auto error = find_unreadable_text(text, lines)) {
    document.errors.push_back(std::move(*error));
    document.is_readable = false;
    return document;
  }
  std::istringstream input{std::string(text)};
  TreeBuilder builder(lines, document);
  try {
    YAML::Parser parser(input);
    while (document.is_readable && parser.HandleNextDocument(builder)) {
    }
  } catch (const YAML::Exception& error) {  // yaml-cpp's only way to report a syntax error
    const std::size_t line = error.mark.is_null() ? lines.size() : static_cast<std::size_t>(error.mark.line);
    if (document.is_readable)
      document.errors.push_back(
          {builder.to_mark(error.mark), "not valid YAML: " + error.msg + syntax_hint(lines, line)});
    document.is_readable = false;
  }
  return document;
}

}  // namespace mgpu::config
