#include "base/ascii.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

TEST(Ascii, ComparisonIgnoresCase) {
  EXPECT_TRUE(equals_ignore_case("Content-LENGTH", "content-length"));
  EXPECT_FALSE(equals_ignore_case("Content-Length", "Content-Lengt"));
  EXPECT_FALSE(equals_ignore_case("[", "{")) << "only letters have a case";
  EXPECT_TRUE(starts_with_ignore_case("Bearer x", "bearer "));
  EXPECT_FALSE(starts_with_ignore_case("Bear", "bearer"));
}

TEST(Ascii, FindsAnElementOfAList) {
  EXPECT_TRUE(list_contains("keep-alive, Upgrade", "upgrade"));
  EXPECT_TRUE(list_contains(" \tupgrade\t,", "Upgrade"));
  EXPECT_FALSE(list_contains("upgraded, up grade", "upgrade"));
  EXPECT_FALSE(list_contains("", "upgrade"));
}

TEST(Ascii, ConvertsHexadecimalDigits) {
  EXPECT_EQ(hex_value('9'), 9);
  EXPECT_EQ(hex_value('f'), 15);
  EXPECT_EQ(hex_value('A'), 10);
  EXPECT_EQ(hex_value('g'), -1);
}

}  // namespace
}  // namespace mgpu
