#include "simgpu/block_table.h"

#include <algorithm>

namespace mgpu::simgpu {

bool BlockTable::add(std::uintptr_t start, std::size_t bytes) {
  if (count_ == kMaxBlocks) return false;
  blocks_[count_++] = {.start = start, .bytes = bytes, .left = bytes};
  return true;
}

std::size_t BlockTable::remove(std::uintptr_t start) {
  for (std::size_t index = 0; index < count_; ++index) {
    if (blocks_[index].start != start) continue;
    const std::size_t bytes = blocks_[index].left;
    erase(index);
    return bytes;
  }
  return 0;
}

std::size_t BlockTable::remove_range(std::uintptr_t start, std::size_t bytes) {
  std::size_t removed = 0;
  for (std::size_t index = count_; index-- > 0;) {
    Block& block = blocks_[index];
    const std::uintptr_t first = std::max(start, block.start);
    const std::uintptr_t end = std::min(start + bytes, block.start + block.bytes);
    if (first >= end) continue;
    const std::size_t part = std::min<std::size_t>(end - first, block.left);
    removed += part;
    block.left -= part;
    if (block.left == 0) erase(index);
  }
  return removed;
}

}  // namespace mgpu::simgpu
