#include "gateway/ollama_body.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mgpu::gateway {
namespace {

using nlohmann::json;

constexpr std::int64_t kNow = 1'764'000'000'000;  // 2025-11-24T16:00:00Z

ListedModel stored(std::string name) {
  return {.id = name,
          .owner = "ollama",
          .footprint = kGiB * 4,
          .facts = AiModelFacts{.name = name,
                                .digest = "abc",
                                .size = kGiB * 2,
                                .modified_ms = kNow - 1000,
                                .format = "gguf",
                                .family = "llama",
                                .families = {"llama"},
                                .parameter_size = "3.2B",
                                .quantization = "Q4_K_M"}};
}

TEST(OllamaTags, TellWhatIsKnownFromFiles) {
  const json entry = json::parse(tags_body({stored("llama3:latest")}, {}, kNow))["models"][0];
  EXPECT_EQ(entry["name"], "llama3:latest");
  EXPECT_EQ(entry["model"], "llama3:latest");
  EXPECT_EQ(entry["digest"], "abc");
  EXPECT_EQ(entry["size"], (kGiB * 2).count);
  EXPECT_EQ(entry["modified_at"], "2025-11-24T15:59:59.000Z");
  EXPECT_EQ(entry["details"], (json{{"parent_model", ""},
                                    {"format", "gguf"},
                                    {"family", "llama"},
                                    {"families", {"llama"}},
                                    {"parameter_size", "3.2B"},
                                    {"quantization_level", "Q4_K_M"}}));
}

TEST(OllamaTags, GiveEachAiModelADigestOfItsOwnAndAliasesTheSame) {
  const std::vector<ListedModel> listed{{.id = "chat", .owner = "chat"},
                                        {.id = "gpt", .owner = "chat", .is_alias = true},
                                        {.id = "stt", .owner = "stt"}};
  const json models = json::parse(tags_body(listed, {}, kNow))["models"];
  EXPECT_EQ(models[0]["digest"].get<std::string>().size(), 64U);
  EXPECT_EQ(models[0]["digest"], models[1]["digest"]);
  EXPECT_NE(models[0]["digest"], models[2]["digest"]);
  EXPECT_EQ(models[0]["digest"], json::parse(tags_body(listed, {}, kNow + 1))["models"][0]["digest"]);
}

TEST(OllamaTags, PassOnWhatAServiceAnswers) {
  const std::vector<ListedModel> listed{{.id = "chat", .owner = "chat"}, stored("gone:latest")};
  const OllamaAnswers answers{
      {"ollama", R"({"models":[{"name":"a:1","digest":"1","new_field":7},{"name":"b:1","digest":"2"}]})"},
      {"second", R"({"models":[{"name":"c:1","digest":"3"}]})"}};
  const json models = json::parse(tags_body(listed, answers, kNow))["models"];
  ASSERT_EQ(models.size(), 4U);
  EXPECT_EQ(models[0]["name"], "chat");
  EXPECT_EQ(models[1], (json{{"name", "a:1"}, {"digest", "1"}, {"new_field", 7}}));
  EXPECT_EQ(models[3]["name"], "c:1") << "also of a consumer of which nothing was known";
}

TEST(OllamaTags, TakeAnythingElseForNoAnswer) {
  for (const char* rubbish : {"", "[]", "{}", R"({"models":null})", "<html>"})
    EXPECT_EQ(tags_body({}, {{"ollama", rubbish}}, kNow), R"({"models":[]})") << rubbish;
}

TEST(OllamaPs, SaysWhenAnIdleAiModelIsUnloaded) {
  ListedModel warm = stored("llama3:latest");
  warm.warm = true;
  warm.expires_ms = kNow + 60'000;
  const OllamaAnswers answers{
      {"ollama", R"({"models":[{"name":"Llama3:latest","expires_at":"2318-01-01T00:00:00Z","size_vram":5},)"
                 R"({"name":"other:1","expires_at":"2318-01-01T00:00:00Z"}]})"}};
  const json models = json::parse(ps_body({warm}, answers, kNow))["models"];
  EXPECT_EQ(models[0]["expires_at"], "2025-11-24T16:01:00.000Z");
  EXPECT_EQ(models[0]["size_vram"], 5);
  EXPECT_EQ(models[1]["expires_at"], "2318-01-01T00:00:00Z") << "the daemon knows nothing about it";
}

TEST(OllamaPs, ShowsWhatIsInMemoryOfOtherServices) {
  const std::vector<ListedModel> listed{
      {.id = "chat", .owner = "chat", .footprint = kGiB * 5, .warm = true, .expires_ms = kNow + 1000},
      {.id = "stt", .owner = "stt", .footprint = kGiB * 3, .warm = true},
      {.id = "tts", .owner = "tts"}};
  const json models = json::parse(ps_body(listed, {}, kNow))["models"];
  ASSERT_EQ(models.size(), 2U);
  EXPECT_EQ(models[0]["size_vram"], (kGiB * 5).count);
  EXPECT_EQ(models[0]["expires_at"], "2025-11-24T16:00:01.000Z");
  EXPECT_TRUE(models[1]["expires_at"].get<std::string>().starts_with("2126"))
      << "never unloaded for being idle";
}

}  // namespace
}  // namespace mgpu::gateway
