#include "base/sanitize.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

TEST(SanitizeText, KeepsPrintableText) {
  EXPECT_EQ(sanitize_text("plain\ttext, Grüße, 日本語, 🎉"), "plain\ttext, Grüße, 日本語, 🎉");
}

TEST(SanitizeText, EscapesTerminalControlSequences) {
  EXPECT_EQ(sanitize_text("\x1b[31mred\x1b]0;title\x07"), "\\x1b[31mred\\x1b]0;title\\x07");
  EXPECT_EQ(sanitize_text("one\r\ntwo\x7f"), "one\\x0d\\x0atwo\\u007f");
  EXPECT_EQ(sanitize_text("\xC2\x9B"
                          "31m"),
            "\\u009b31m")
      << "the one-character form of CSI";
  EXPECT_EQ(sanitize_text(std::string_view("a\0b", 3)), "a\\x00b");
}

TEST(SanitizeText, EscapesBidirectionalMarks) { EXPECT_EQ(sanitize_text("user\u202Exet"), "user\\u202exet"); }

TEST(SanitizeText, ReplacesInvalidUtf8) {
  EXPECT_EQ(sanitize_text("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(sanitize_text("\xC0\x9B"), "\uFFFD\uFFFD") << "overlong";
  EXPECT_EQ(sanitize_text("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD") << "half a surrogate pair";
  EXPECT_EQ(sanitize_text("cut \xE6\x97"), "cut \uFFFD\uFFFD");
}

TEST(SanitizeText, SanitizeLinesKeepsLineBreaks) {
  EXPECT_EQ(sanitize_lines("a\nb\rc\x1b"), "a\nb\\x0dc\\x1b");
}

TEST(SanitizeText, IsCutBetweenCharacters) {
  EXPECT_EQ(sanitize_text("GET /v1/models", 200), "GET /v1/models");
  EXPECT_EQ(sanitize_text("abcdef", 3), "abc");
  EXPECT_EQ(sanitize_text("aä€𝄞", 100), "aä€𝄞");
  EXPECT_EQ(sanitize_text("aä€𝄞", 9), "aä€") << "the last character does not fit completely";
  EXPECT_EQ(sanitize_text("ab\x1b", 4), "ab") << "an escape sequence is not cut either";
}

}  // namespace
}  // namespace mgpu
