#include "config/variables.h"

#include <algorithm>
#include <map>

#include <gtest/gtest.h>

#include "config/document.h"

namespace mgpu::config {
namespace {

const std::map<std::string, std::string> kEnvironment{
    {"HOME", "/home/ann"}, {"KEY", "${x} secret"}, {"EMPTY", ""}};

std::optional<std::string> test_environment(const std::string& name) {
  const auto found = kEnvironment.find(name);
  return found == kEnvironment.end() ? std::nullopt : std::optional(found->second);
}

// What `text` becomes with these macros: the value; as it may be shown; all errors.
struct Replaced {
  std::string text{};
  std::string shown{};
  std::string errors{};
};
Replaced replace(const std::string& macros, const std::string& text, bool allows_port = true) {
  Variables variables(test_environment);
  Replaced result;
  const auto add = [&](const std::vector<ValueError>& errors) {
    for (const ValueError& error : errors) result.errors += error.message + "\n";
  };
  add(variables.define_macros(load_document(macros).top));
  Node value{.kind = Node::Kind::scalar, .text = text};
  add(variables.replace(value, allows_port));
  result.text = value.text;
  result.shown = shown_text(value);
  return result;
}

TEST(Variables, MacrosAreReplacedAlsoInMacros) {
  EXPECT_EQ(replace("{a: x, b: '${a}y'}", "<${b}${a}>").text, "<xyx>");
  EXPECT_EQ(replace("{port-9: 5}", "${port-9}").text, "5") << "numbers are texts too";
  EXPECT_EQ(replace("{server: 'srv --port ${PORT}'}", "${server} -m x").text, "srv --port ${PORT} -m x");
}

TEST(Variables, TextIsLeftAsItIs) {
  for (const char* text : {"$", "$HOME", "a$b", "{x}", "100%", "$$", "}${PORT}{"})
    EXPECT_EQ(replace("{}", text).text, text);
  EXPECT_EQ(replace("{}", "$${a}").text, "${a}");
  EXPECT_EQ(replace("{}", "$${a}").shown, "$${a}");
  EXPECT_EQ(replace("{}", "$$${a}").text, "$${a}");
}

TEST(Variables, ValuesOfTheEnvironmentAreTextThatIsNotShown) {
  const Replaced key = replace("{k: '--key ${env.KEY}'}", "${k} in ${env.HOME}");
  EXPECT_EQ(key.text, "--key ${x} secret in /home/ann") << "not replaced a second time";
  EXPECT_EQ(key.shown, "--key ${env.KEY} in ${env.HOME}");
  EXPECT_EQ(replace("{}", "${env.EMPTY}").text, "");
  EXPECT_EQ(replace("{}", "${env.EMPTY}").errors, "");
}

TEST(Variables, WhatIsNotSetIsAnError) {
  const auto expect_error = [](const std::string& macros, const std::string& text, const std::string& part) {
    const Replaced replaced = replace(macros, text);
    EXPECT_NE(replaced.errors.find(part), std::string::npos) << replaced.errors;
    EXPECT_EQ(std::ranges::count(replaced.errors, '\n'), 1) << replaced.errors;
  };
  expect_error("{}", "${env.NOTHING}", "the environment variable NOTHING is not set");
  expect_error("{m: '${env.NOTHING}'}", "${m}", "the environment variable NOTHING is not set");
  expect_error("{models: /m}", "${model}/x", "there is no macro \"model\", did you mean ${models}?");
  expect_error("{}", "${HF_TOKEN}",
               "write ${env.HF_TOKEN} for the environment variable, $${...} for the text itself");
  expect_error("{}", "${VAR:-x}", "there is no macro \"VAR:-x\": write $${...} for the text itself");
  expect_error("{}", "${env.A B}", "is not ${env.NAME}");
  expect_error("{}", "${env.}", "is not ${env.NAME}");
  expect_error("{}", "${}", "there is no macro \"\"");
  expect_error("{}", "a ${b", "is never closed");
  expect_error("{}", "$${PORT}", "can't be passed on");
  EXPECT_EQ(replace("{m: '${env.NOTHING}'}", "x").errors, "") << "a macro that is not used";
}

TEST(Variables, ThePortHasAMeaningInSomeValuesOnly) {
  EXPECT_NE(replace("{}", "${PORT}", false).errors.find("${PORT} has no meaning here"), std::string::npos);
  EXPECT_EQ(replace("{}", "${PORT}", true).errors, "");
}

TEST(Variables, ACircleOfMacrosIsAnError) {
  EXPECT_EQ(replace("{a: '${a}'}", "x").errors,
            "a: the macros refer to each other in a circle: ${a} -> ${a}\n");
  EXPECT_NE(replace("{a: '${b}', b: '${c}', c: '${b}'}", "${a}").errors.find("${b} -> ${c} -> ${b}"),
            std::string::npos);
}

TEST(Variables, MacrosHaveNamesAndTexts) {
  for (const char* macros : {"{PORT: 1}", "{env: x}", "{'a b': x}", "{'': x}", "{9a: x}", "{a.b: x}", "[a]",
                             "{a: [x]}", "{a: }", "text", "{a: x, a: y}", "{a: '${nothing}'}"})
    EXPECT_NE(replace(macros, "x").errors, "") << macros;
}

TEST(Variables, GrowthIsLimited) {
  std::string macros = "{a0: xxxxxxxxxx";
  std::string empty = "{a0: ''";
  for (int i = 1; i < 30; ++i) {
    const std::string twice = "${a" + std::to_string(i - 1) + "}${a" + std::to_string(i - 1) + "}";
    macros += ", a" + std::to_string(i) + ": '" + twice + "'";
    empty += ", a" + std::to_string(i) + ": '" + twice + "'";
  }
  EXPECT_NE(replace(macros + "}", "${a29}").errors.find("too large"), std::string::npos);
  EXPECT_NE(replace(empty + "}", "${a29}").errors.find("too large"), std::string::npos);
  std::string chain = "{a0: x";
  for (int i = 1; i < 50; ++i) chain += ", a" + std::to_string(i) + ": '${a" + std::to_string(i - 1) + "}'";
  EXPECT_NE(replace(chain + "}", "x").errors.find("nested too deeply"), std::string::npos);
}

}  // namespace
}  // namespace mgpu::config
