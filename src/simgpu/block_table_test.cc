#include "simgpu/block_table.h"

#include <memory>

#include <gtest/gtest.h>

namespace mgpu::simgpu {
namespace {

TEST(BlockTable, ForgetsABlockThatIsRemoved) {
  const auto table = std::make_unique<BlockTable>();
  table->add(1000, 100);
  table->add(2000, 200);
  EXPECT_EQ(table->remove(1500), 0U);
  EXPECT_EQ(table->remove(1000), 100U);
  EXPECT_EQ(table->remove(1000), 0U);
  EXPECT_EQ(table->remove(2000), 200U);
}

// llama.cpp unmaps the parts of a file that it does not need, and the rest at the end.
TEST(BlockTable, ABlockIsGoneWhenItsLastPartIsRemoved) {
  const auto table = std::make_unique<BlockTable>();
  table->add(1000, 100);
  EXPECT_EQ(table->remove_range(900, 110), 10U);
  EXPECT_EQ(table->remove_range(1050, 10), 10U);
  EXPECT_EQ(table->remove_range(1090, 500), 10U);
  EXPECT_EQ(table->remove_range(1010, 40), 40U);
  EXPECT_EQ(table->remove_range(1060, 30), 30U);
  EXPECT_EQ(table->remove(1000), 0U);
}

TEST(BlockTable, ARangeMayCoverSeveralBlocks) {
  const auto table = std::make_unique<BlockTable>();
  table->add(1000, 100);
  table->add(3000, 100);
  EXPECT_EQ(table->remove_range(0, 3050), 150U);
  EXPECT_EQ(table->remove(3000), 50U);
}

TEST(BlockTable, TakesNoMoreThanItsLimit) {
  const auto table = std::make_unique<BlockTable>();
  for (std::size_t index = 0; index < BlockTable::kMaxBlocks; ++index)
    ASSERT_TRUE(table->add(1000 + 10 * index, 10));
  EXPECT_FALSE(table->add(1, 1));
  EXPECT_EQ(table->remove(1000), 10U);
  EXPECT_TRUE(table->add(1, 1));
}

}  // namespace
}  // namespace mgpu::simgpu
