#include "base/ascii.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

TEST(Ascii, ComparesInAnyCase) {
  EXPECT_TRUE(same_text("Content-LENGTH", "content-length"));
  EXPECT_FALSE(same_text("Content-Length", "Content-Lengt"));
  EXPECT_FALSE(same_text("[", "{")) << "only letters have a case";
  EXPECT_TRUE(starts_with_text("Bearer x", "bearer "));
  EXPECT_FALSE(starts_with_text("Bear", "bearer"));
}

TEST(Ascii, FindsAWordOfAList) {
  EXPECT_TRUE(lists_word("keep-alive, Upgrade", "upgrade"));
  EXPECT_TRUE(lists_word(" \tupgrade\t,", "Upgrade"));
  EXPECT_FALSE(lists_word("upgraded, up grade", "upgrade"));
  EXPECT_FALSE(lists_word("", "upgrade"));
}

TEST(Ascii, ReadsHexadecimalDigits) {
  EXPECT_EQ(hex_value('9'), 9);
  EXPECT_EQ(hex_value('f'), 15);
  EXPECT_EQ(hex_value('A'), 10);
  EXPECT_EQ(hex_value('g'), -1);
}

}  // namespace
}  // namespace mgpu
