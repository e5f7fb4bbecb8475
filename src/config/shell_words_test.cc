#include "config/shell_words.h"

#include <gtest/gtest.h>

namespace mgpu::config {
namespace {

using Words = std::vector<std::string>;

// The words, or one word with the error.
Words split(std::string_view text, std::span<const Substitution> literal = {}) {
  auto words = split_shell_words(text, literal);
  return words ? *words : Words{"error: " + words.error().detail};
}

void expect_error(std::string_view text, std::string_view part) {
  const auto words = split_shell_words(text);
  ASSERT_FALSE(words) << text;
  EXPECT_NE(words.error().detail.find(part), std::string::npos) << text << ": " << words.error().detail;
}

TEST(SplitShellWords, SplitsAtBlanksAndLineBreaks) {
  EXPECT_EQ(split("  llama-server -m\tmodel.gguf "), (Words{"llama-server", "-m", "model.gguf"}));
  EXPECT_EQ(split("srv\n  --port 1\r\n  --mem 4\n"), (Words{"srv", "--port", "1", "--mem", "4"}));
}

TEST(SplitShellWords, QuotesGroupAndMayBeEmpty) {
  EXPECT_EQ(split(R"(say 'two words' "and \"three\" more" '' a"b c"d)"),
            (Words{"say", "two words", "and \"three\" more", "", "ab cd"}));
}

TEST(SplitShellWords, BackslashEscapesOneCharacter) {
  EXPECT_EQ(split(R"(a\ b '\n' "\n" \"x \$HOME \*)"), (Words{"a b", "\\n", "\\n", "\"x", "$HOME", "*"}));
}

TEST(SplitShellWords, ABackslashAtTheEndOfALineContinuesIt) {
  EXPECT_EQ(split("srv \\\n  --port 1 \\\r\n  --mem 4 \\\n"), (Words{"srv", "--port", "1", "--mem", "4"}));
  EXPECT_EQ(split("a\\\nb \"c\\\nd\""), (Words{"ab", "cd"}));
  EXPECT_EQ(split("srv \\ --port 1"), (Words{"srv", "--port", "1"})) << "a line that YAML has folded";
  EXPECT_EQ(split("srv \\ \n  --port 1"), (Words{"srv", "--port", "1"})) << "a blank after the backslash";
  expect_error("oops\\", "ends with a backslash");
}

TEST(SplitShellWords, ACommentEndsWithItsLine) {
  EXPECT_EQ(split("srv # it's old\n  #--name x && y\n  --mem 4#5 --name '#b' # tried"),
            (Words{"srv", "--mem", "4#5", "--name", "#b"}));
  EXPECT_EQ(without_shell_comments("a # ${x}\nb '# c' d#e \\# \"#\" # f"), "a \nb '# c' d#e \\# \"#\" ");
}

TEST(SplitShellWords, RefusesWhatOnlyAShellCouldDo) {
  for (const char* text : {"a && b", "a | b", "a; b", "a > log", "a 2>&1", "a &", "(a)", "a < b", "a||b"})
    expect_error(text, "is an operator of a shell, and no shell reads this command");
  for (const char* text : {"a $(b)", "a `b`", "a \"`b`\"", "a \"$(b)\""})
    expect_error(text, "runs another command");
  for (const char* text : {"a $HOME", "a \"$HOME/x\"", "a --dir=$HOME"})
    expect_error(text, "write ${env.HOME}");
  expect_error("a $PORT", "write ${PORT}");
  expect_error("a $1", "is a variable of a shell");
  for (const char* text : {"a ~/x", "a ~", "a --dir=~/x", "a ~ann/x"}) expect_error(text, "${env.HOME}");
  for (const char* text : {"a *.gguf", "a m?del", "a --x *"}) expect_error(text, "pattern of file names");
}

TEST(SplitShellWords, QuotesMakeItText) {
  EXPECT_EQ(split("a '&&' '$HOME' '~' '*' \"|\" '$(b)' x~ a$ http://h/?q=1 [::1]:80"),
            (Words{"a", "&&", "$HOME", "~", "*", "|", "$(b)", "x~", "a$", "http://h/?q=1", "[::1]:80"}));
}

TEST(SplitShellWords, TheScriptOfAShellIsReadByThatShell) {
  EXPECT_EQ(split("nice /bin/bash -lc \"cd /x && exec srv $PORT\""),
            (Words{"nice", "/bin/bash", "-lc", "cd /x && exec srv $PORT"}));
  expect_error("sh -c 'exec \"$0\"' srv ~/x", "${env.HOME}");
}

TEST(SplitShellWords, RefusesTypographicCharacters) {
  expect_error("srv \u2013port 1", "typographic dash");
  expect_error("srv \u201Ca b\u201D", "typographic quote");
  expect_error("srv\u00A0--port", "a blank that is not the usual one");
  EXPECT_EQ(split("srv 'a\u00A0\u201Cb' x\u2013y"), (Words{"srv", "a\u00A0\u201Cb", "x\u2013y"}));
}

TEST(SplitShellWords, LiteralPartsAreTextWhateverTheyContain) {
  const std::string secret = "a b' $X && #";
  const std::string text = "srv --key=" + secret + " " + secret;
  const Substitution parts[] = {{10, secret.size(), "${env.A}", "A"},
                                {11 + secret.size(), secret.size(), "${env.A}", "A"}};
  EXPECT_EQ(split(text, parts), (Words{"srv", "--key=" + secret, secret}));
  const Substitution empty[] = {{4, 0, "${env.A}", "A"}, {6, 0, "${env.A}", "A"}};
  EXPECT_EQ(split("srv  ''", empty), (Words{"srv", ""})) << "an empty one outside of quotes is no word";
}

TEST(SplitShellWords, ErrorsShowNoLiteralPart) {
  const Substitution parts[] = {{2, 6, "${env.A}", "A"}};
  EXPECT_EQ(split("a secret*", parts).front().find("secret"), std::string::npos);
  EXPECT_NE(split("a secret*", parts).front().find("${env.A}*"), std::string::npos);
}

TEST(SplitShellWords, RejectsUnclosedQuotes) {
  expect_error("say \"hello", "the quote \" is never closed: close it, or escape it with a backslash");
}

TEST(SplitShellWords, NothingIsNoWord) { EXPECT_EQ(split(" # only a comment"), Words{}); }

TEST(ShellText, SplitsIntoTheSameWords) {
  for (const Words& words :
       {Words{"a", "b c", "", "it's", "$HOME", "~/x", "&&", "-m x", "\\", "a\nb", "${PORT}"}, Words{"srv"}})
    EXPECT_EQ(split(to_shell_text(words)), words) << to_shell_text(words);
}

TEST(ProblemInWordList, FindsSlips) {
  for (const Words& words : {Words{"a", "&&", "b"},
                             {"a", "2>&1"},
                             {"a", "~/x"},
                             {"a", "--dir=~/x"},
                             {"a", "$HOME/x"},
                             {"a", "-m model.gguf"},
                             {"a", "--port 80"},
                             {"a --port"},
                             {"a", "\\"},
                             {"a", "$(b)"}})
    EXPECT_NE(problem_in_word_list(words), "") << testing::PrintToString(words);
  for (const Words& words : {Words{"sh", "-c", "a && b > $HOME"},
                             {"a", "--prompt=two words"},
                             {"a", "- b"},
                             {"a", "x~", "*"},
                             {"a b/c", "5$"},
                             {"a", "--", "-"},
                             {"find", "-exec", ";"},
                             {"a", "${env.HOME}", "$${X}"}})
    EXPECT_EQ(problem_in_word_list(words), "") << testing::PrintToString(words);
}

TEST(ProblemInProgram, IsAVariableOrABuiltin) {
  for (const char* program : {"A=1", "_a9=", "exec", "cd", "source", "export"})
    EXPECT_NE(problem_in_program(program), "");
  for (const char* program : {"/bin/a=b", "a-b=c", "9a=b", "=a", "python3"})
    EXPECT_EQ(problem_in_program(program), "");
}

}  // namespace
}  // namespace mgpu::config
