#include "base/text.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

TEST(Printable, IsCutBetweenCharacters) {
  EXPECT_EQ(printable("GET /v1/models", 200), "GET /v1/models");
  EXPECT_EQ(printable("abcdef", 3), "abc");
  EXPECT_EQ(printable("aä€𝄞", 100), "aä€𝄞");
  EXPECT_EQ(printable("aä€𝄞", 9), "aä€") << "the last one does not fit whole";
  EXPECT_EQ(printable("ää", 3), "ä");
}

TEST(Printable, SteersNoTerminal) {
  EXPECT_EQ(printable("a\x1b[31mred\r\n\x07", 100), "a[31mred");
  EXPECT_EQ(printable("\x7f\xc2\x9b"
                      "31m",
                      100),
            "31m")
      << "DEL, and the CSI that is one character";
}

TEST(Printable, MendsWhatIsNoUtf8) {
  EXPECT_EQ(printable("\xff\xfe"
                      "a\xc3",
                      100),
            "??a?");
  EXPECT_EQ(printable("\xc0\xaf", 100), "??") << "a longer form than needed";
  EXPECT_EQ(printable("\xed\xa0\x80", 100), "???") << "half a surrogate pair";
}

}  // namespace
}  // namespace mgpu
