#include "config/document.h"

#include <string>

#include <gtest/gtest.h>

#include "config/merge_keys.h"

namespace mgpu::config {
namespace {

// The only error of a text: "LINE:COLUMN: message".
std::string only_error(std::string_view text) {
  Document document = load_document(text);
  if (document.is_readable) resolve_merge_keys(document.top, document.errors);
  if (document.errors.size() != 1) return std::to_string(document.errors.size()) + " errors";
  const ValueError& error = document.errors.front();
  return std::to_string(error.mark.line) + ":" + std::to_string(error.mark.column) + ": " + error.message;
}

void expect_error(std::string_view text, const std::string& expected) {
  EXPECT_NE(only_error(text).find(expected), std::string::npos) << text << "\n" << only_error(text);
}

Node load(std::string_view text) {
  Document document = load_document(text);
  EXPECT_TRUE(document.errors.empty()) << text << "\n"
                                       << (document.errors.empty() ? "" : document.errors[0].message);
  resolve_merge_keys(document.top, document.errors);
  return document.top;
}

// One line for a tree: {a: [1, 2], b: ~}.
std::string to_line(const Node& node) {
  if (node.is_null()) return "~";
  if (node.is_scalar()) return node.text;
  std::string line;
  for (std::size_t i = 0; i < node.items.size(); ++i)
    line +=
        (i == 0 ? "" : ", ") + (node.is_map() ? to_line(node.keys[i]) + ": " : "") + to_line(node.items[i]);
  return node.is_map() ? "{" + line + "}" : "[" + line + "]";
}

TEST(LoadDocument, ReadsOneDocument) {
  EXPECT_EQ(to_line(load("---\na: [1, {b: }]\nc: 'x'\n...\n")), "{a: [1, {b: ~}], c: x}");
  EXPECT_TRUE(load("").is_null());
  EXPECT_TRUE(load("# nothing\n").is_null());
  EXPECT_EQ(to_line(load("a: 1\n---\n# nothing\n")), "{a: 1}");
  EXPECT_EQ(to_line(load("\uFEFFa: 1\r\nb: 2\r\n")), "{a: 1, b: 2}")
      << "byte order mark, line ends of Windows";
}

TEST(LoadDocument, ASecondDocumentIsAnError) {
  expect_error("a: 1\n---\nb: 2\n", "2:1: a second YAML document begins here");
  expect_error("a: 1\n...\nb: 2\n", "3:1: a second YAML document begins here");
  expect_error("---\n---\nb: 2\n", "2:1: a second YAML document begins here");
  expect_error("a: 1\n---\n- b\n---\nc\n", "2:1: a second");
}

TEST(LoadDocument, PositionsCountCharacters) {
  const Node top = load("k\u00FCche: \u00FC # \u00FC\nb:\n  - c\n");
  EXPECT_EQ(top.items[0].mark.column, 8);
  EXPECT_EQ(top.items[1].items[0].mark.line, 3);
  EXPECT_EQ(load("a:\nb: 1\n").items[0].mark.line, 1) << "an absent value is where its key is";
}

TEST(LoadDocument, RefusesWhatCanNotBeSeen) {
  expect_error(std::string_view("a: \0b", 5), "1:4: the control character U+0000");
  expect_error("a: 1\nb: \xFF", "2:4: is not UTF-8");
  expect_error("a: \u00A0b\n", "1:4: \"\u00A0b\" contains a blank that is not the usual one");
  expect_error("\u00A0a: 1\n", "1:1:");
  expect_error("a: \u201Cb\u201D\n", "1:4: \"\u201Cb\u201D\" begins with a typographic quote");
  EXPECT_EQ(to_line(load("a: 'x\u00A0\u201C'")), "{a: x\u00A0\u201C}") << "quotes say that it is meant";
}

TEST(LoadDocument, HintsAtTheUsualSlips) {
  expect_error("a:\n\tb: 1\n", "a tab indents line 2");
  expect_error("a:\n  b:\n  \tc: 1\n", "3:5: not valid YAML: illegal map value (a tab indents line 3");
  expect_error("a: [x, ${PORT}]\n", "${...} needs quotes");
  expect_error("a: {b: ${X}}\n", "${...} needs quotes");
  expect_error("a: [*.exe]\n", "a value that begins with * needs quotes");
  expect_error("a: say: this\n", "a value that contains a colon and a blank needs quotes");
  expect_error("a: 1\n<<<<<<< HEAD\nb: 2\n", "merge conflict");
  expect_error("a: {}\nb\nc: 1\n",
               "3:2: not valid YAML: illegal map value (line 2 has no colon: write KEY: VALUE)");
  expect_error("a: {}\nb\n", "2:1: \"b\" has no colon after it");
  expect_error("a:\n    b: 1\n   c: 1\n", "the indentation of line 3 is that of no line before it");
  expect_error(
      "  a: 1\nb: 2\n",
      "2:1: a second YAML document begins here, but only one is read: is the text before it indented?");
  expect_error("a: b\n  c: 1\n", "(line 2 is indented more than the key before it");
}

TEST(LoadDocument, SignsWithoutABeginningAreErrors) {
  expect_error(", 3]}\n", "1:1: not valid YAML: no value begins like this");
  expect_error("]", "1:1: not valid YAML");
  expect_error("- 1\n}\n", "2:1: not valid YAML");
  expect_error("{a: 1}\n}\n", "2:1: not valid YAML");
}

TEST(LoadDocument, TagsOfOtherProgramsAreErrors) {
  expect_error("a: !secret b\n", "1:4: the tag \"!secret\" means nothing here");
  expect_error("a: !include [b]\n", "the tag \"!include\"");
  expect_error("a: !!binary b\n", "the tag \"!!binary\"");
  EXPECT_EQ(to_line(load("a: !!str 5\nb: !!seq [1]\n")), "{a: 5, b: [1]}");
}

TEST(LoadDocument, AliasesAreReplaced) {
  EXPECT_EQ(to_line(load("x: &x {a: &y [1]}\nb: *x\nc: *y\n")), "{x: {a: [1]}, b: {a: [1]}, c: [1]}");
  expect_error("x: &x {a: *x}\n", "1:11: the alias is a part of what it stands for");
}

TEST(LoadDocument, GrowthIsLimited) {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 30; ++i) {
    const std::string before = "*a" + std::to_string(i - 1);
    laughs += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before + ", " + before + ", " +
              before + "]\n";
  }
  expect_error(laughs, "is too large once its aliases are replaced");
  expect_error("a: &a '" + std::string(500'000, 'x') +
                   "'\nb: [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n",
               "is too large once its aliases are replaced");
  expect_error(std::string(100, '[') + std::string(100, ']'), "is nested too deeply");
  std::string chain = "a0: &a0 [[[[x]]]]\n";
  for (int i = 1; i < 30; ++i)
    chain +=
        "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [[[[*a" + std::to_string(i - 1) + "]]]]\n";
  expect_error(chain, "is nested too deeply");
  expect_error(std::string(kMaxDocumentBytes + 1, '#'), "is too large");
}

TEST(LoadDocument, AFoldedTextKeepsItsLines) {
  const Node top = load("a: >\n  srv\n  # x\n\n    --y\nb: &b >-\n    c\n    d\ne: |\n  f\n");
  EXPECT_EQ(top.items[0].unfolded, "srv\n# x\n\n  --y\n");
  EXPECT_EQ(top.items[1].unfolded, "c\nd\n");
  EXPECT_EQ(top.items[2].unfolded, "");
}

TEST(MergeKeys, AddWhatIsMissing) {
  const std::string anchors = "x: &x {a: 1, b: 1}\ny: &y {b: 2, c: 2}\n";
  EXPECT_EQ(to_line(*find_item(load(anchors + "m: {<<: *x, a: 3}"), "m")), "{a: 3, b: 1}");
  EXPECT_EQ(to_line(*find_item(load(anchors + "m: {a: 3, <<: [*y, *x]}"), "m")), "{a: 3, b: 2, c: 2}");
  EXPECT_EQ(to_line(*find_item(load("x: &x {a: 1}\ny: &y {<<: *x, b: 2}\nm: {<<: *y, d: {<<: *x}}"), "m")),
            "{d: {a: 1}, b: 2, a: 1}");
  EXPECT_EQ(to_line(*find_item(load("m: {<<: {a: 1}, b: 2}"), "m")), "{b: 2, a: 1}");
  EXPECT_EQ(to_line(load("'<<': 1")), "{<<: 1}") << "in quotes it is a key like others";
}

TEST(MergeKeys, NeedMappings) {
  expect_error("a: {<<: 5}", "1:5: << needs a mapping");
  expect_error("x: &x {a: 1}\nb: {<<: [*x, y]}", "2:5: << needs a mapping");
  expect_error("x: &x {a: 1}\nb: {<<: *x, <<: *x}", "2:13: << is there twice");
}

}  // namespace
}  // namespace mgpu::config
