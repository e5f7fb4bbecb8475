// The blocks of host memory for which a process holds bytes of the simulated GPU. Fixed size and without
// allocations, because malloc itself calls it. Not thread-safe.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mgpu::simgpu {

class BlockTable {
 public:
  // With blocks of at least 1 MiB these are 16 GiB.
  static constexpr std::size_t kMaxBlocks = 16'384;

  // false: the table is full. REQUIRES: bytes > 0, no overlap with another block.
  bool add(std::uintptr_t start, std::size_t bytes);

  // Removes the block that begins at `start`. Returns its bytes; 0: there is none.
  std::size_t remove(std::uintptr_t start);

  // Removes a range of addresses, which may be a part of a block or cover several. Returns the bytes that
  // were part of a block. A range of one block must not be removed twice.
  std::size_t remove_range(std::uintptr_t start, std::size_t bytes);

  void clear() { count_ = 0; }

 private:
  struct Block {
    std::uintptr_t start = 0;
    std::size_t bytes = 0;
    std::size_t left = 0;  // what remove_range() has not removed yet
  };

  void erase(std::size_t index) { blocks_[index] = blocks_[--count_]; }

  // Not sorted: a search over the few blocks that a process has is short against opening the state file.
  std::array<Block, kMaxBlocks> blocks_{};
  std::size_t count_ = 0;
};

}  // namespace mgpu::simgpu
