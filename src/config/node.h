// A value of a configuration file with its position: what load_document() makes of YAML and value.h reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mgpu::config {

// A position in the file, from 1; 0: not known. Columns count characters.
struct Mark {
  int line = 0;
  int column = 0;
};

// A part of a scalar's text that stands for something else in the file: `${env.HOME}`, `$${`. It is plain
// text whatever it contains: no blank in it separates the words of a command. Its value is never shown.
struct Substitution {
  std::size_t from = 0;  // in Node::text
  std::size_t size = 0;
  std::string written{};   // in the file
  std::string variable{};  // of the environment; empty for `$${`
};

struct Node {
  enum class Kind : std::uint8_t { null, scalar, list, map };
  Kind kind = Kind::null;
  Mark mark{};
  std::string text{};        // of a scalar
  std::string unfolded{};    // of a folded scalar (>): its lines as they are in the file, without indentation
  bool plain = false;        // a scalar without quotes on the line of its key
  bool anchored = false;     // has an &anchor
  std::vector<Node> keys{};  // of a map: keys[i] is the key of items[i]
  std::vector<Node> items{};                  // of a list or a map
  std::vector<Substitution> substitutions{};  // of a scalar, in the order of its text

  bool is_null() const { return kind == Kind::null; }
  bool is_scalar() const { return kind == Kind::scalar; }
  bool is_list() const { return kind == Kind::list; }
  bool is_map() const { return kind == Kind::map; }
};

// Why a value was refused, and where it is.
struct ValueError {
  Mark mark{};
  std::string message{};
};

// The value at `key` of a map; null if it has none.
const Node* find_item(const Node& map, std::string_view key);

// A scalar's text as it may be shown: values of the environment are written as `${env.NAME}`.
std::string shown_text(const Node& scalar);

// For the end of an error: "a list", "a mapping", "nothing", or the text in quotes, shortened.
std::string describe(const Node& node);

// "\"text\"", shortened to what fits into a message, on one line.
std::string in_quotes(std::string_view text);

}  // namespace mgpu::config
