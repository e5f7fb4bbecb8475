#include "config/shell_words.h"

#include <gtest/gtest.h>

namespace mgpu::config {
namespace {

using Words = std::vector<std::string>;

TEST(SplitShellWords, SplitsAtBlanks) {
  EXPECT_EQ(split_shell_words("  llama-server -m\tmodel.gguf "), (Words{"llama-server", "-m", "model.gguf"}));
}

TEST(SplitShellWords, QuotesGroupAndMayBeEmpty) {
  EXPECT_EQ(split_shell_words(R"(say 'two words' "and \"three\" more" '' a"b c"d)"),
            (Words{"say", "two words", "and \"three\" more", "", "ab cd"}));
}

TEST(SplitShellWords, BackslashEscapesOneCharacter) {
  EXPECT_EQ(split_shell_words(R"(a\ b '\n' "\n" \"x)"), (Words{"a b", "\\n", "\\n", "\"x"}));
}

TEST(SplitShellWords, ExpandsNothing) {
  EXPECT_EQ(split_shell_words("echo $HOME *.txt ${PORT} | cat"),
            (Words{"echo", "$HOME", "*.txt", "${PORT}", "|", "cat"}));
}

TEST(SplitShellWords, RejectsUnclosedQuotes) {
  EXPECT_EQ(split_shell_words("say \"hello").error().detail,
            "the quote \" is never closed: close it, or escape it with a backslash");
  EXPECT_FALSE(split_shell_words("oops\\"));
}

TEST(SplitShellWords, NothingIsNoWord) { EXPECT_EQ(split_shell_words(" "), Words{}); }

}  // namespace
}  // namespace mgpu::config
