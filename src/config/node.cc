#include "config/node.h"

namespace mgpu::config {

const Node* find_item(const Node& map, std::string_view key) {
  for (std::size_t i = 0; i < map.keys.size(); ++i)
    if (map.keys[i].is_scalar() && map.keys[i].text == key) return &map.items[i];
  return nullptr;
}

std::string shown_text(const Node& scalar) {
  std::string shown;
  std::size_t at = 0;
  for (const Substitution& part : scalar.substitutions) {
    shown += scalar.text.substr(at, part.from - at) + part.written;
    at = part.from + part.size;
  }
  return shown + scalar.text.substr(at);
}

std::string describe(const Node& node) {
  if (node.is_map()) return "a mapping";
  if (node.is_list()) return "a list";
  return node.is_scalar() ? in_quotes(shown_text(node)) : "nothing";
}

std::string in_quotes(std::string_view text) {
  constexpr std::size_t kShown = 120;
  constexpr char kHex[] = "0123456789ABCDEF";
  std::string shown = "\"";
  for (const char c : text.substr(0, kShown)) {
    if (c == '\n')
      shown += "\\n";
    else if (c == '\t')
      shown += "\\t";
    else if (const auto code = static_cast<unsigned char>(c); code < 0x20 || code == 0x7F)
      shown += {'\\', 'x', kHex[code >> 4], kHex[code & 15]};
    else
      shown += c;
  }
  return shown + (text.size() > kShown ? "...\"" : "\"");
}

}  // namespace mgpu::config
