#include "config/merge_keys.h"

#include <set>
#include <string>
#include <utility>

namespace mgpu::config {
namespace {

bool is_merge_key(const Node& key) { return key.is_scalar() && key.plain && key.text == "<<"; }

// The mappings that a merge key names, in their order.
std::vector<Node> merged_maps(const Node& key, Node value, std::vector<ValueError>& errors) {
  std::vector<Node> named;
  if (value.is_list())
    named = std::move(value.items);
  else
    named.push_back(std::move(value));
  std::vector<Node> maps;
  for (Node& one : named) {
    if (one.is_map())
      maps.push_back(std::move(one));
    else
      errors.push_back(
          {key.mark, "<< needs a mapping, or a list of them (<<: *common), found " + describe(one)});
  }
  return maps;
}

// Adds the entries of `from` whose key `map` does not have yet.
void add_missing_entries(Node& map, Node from) {
  std::set<std::string> present;
  for (const Node& key : map.keys)
    if (key.is_scalar()) present.insert(key.text);
  for (std::size_t i = 0; i < from.keys.size(); ++i) {
    if (from.keys[i].is_scalar() && present.contains(from.keys[i].text)) continue;
    map.keys.push_back(std::move(from.keys[i]));
    map.items.push_back(std::move(from.items[i]));
  }
}

}  // namespace

void resolve_merge_keys(Node& node, std::vector<ValueError>& errors) {
  for (Node& item : node.items) resolve_merge_keys(item, errors);
  if (!node.is_map()) return;
  Node own{.kind = Node::Kind::map, .mark = node.mark, .anchored = node.anchored};
  std::vector<Node> merged;
  bool has_merge_key = false;
  for (std::size_t i = 0; i < node.keys.size(); ++i) {
    if (!is_merge_key(node.keys[i])) {
      own.keys.push_back(std::move(node.keys[i]));
      own.items.push_back(std::move(node.items[i]));
    } else if (std::exchange(has_merge_key, true)) {
      errors.push_back(
          {node.keys[i].mark, "<< is there twice: write one, with a list (<<: [*first, *second])"});
    } else {
      merged = merged_maps(node.keys[i], std::move(node.items[i]), errors);
    }
  }
  for (Node& map : merged) add_missing_entries(own, std::move(map));
  node = std::move(own);
}

}  // namespace mgpu::config
