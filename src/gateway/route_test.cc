#include "gateway/route.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

TEST(Route, KnowsTheRoutesThatNameAModel) {
  for (const char* path : {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings",
                           "/v1/rerank", "/rerank", "/v1/audio/transcriptions", "/v1/audio/translations",
                           "/v1/audio/speech", "/v1/images/generations", "/v1/images/edits"})
    EXPECT_EQ(find_route("POST", path), (Route{Protocol::openai, RouteKind::needs_turn, "", path})) << path;
  for (const char* path : {"/api/chat", "/api/generate", "/api/embed", "/api/embeddings"})
    EXPECT_EQ(find_route("POST", path), (Route{Protocol::ollama, RouteKind::needs_turn, "", path})) << path;
}

TEST(Route, AnswersListingsItself) {
  EXPECT_EQ(find_route("GET", "/v1/models?x=1")->kind, RouteKind::list_models);
  EXPECT_EQ(find_route("HEAD", "/v1/models")->kind, RouteKind::list_models);
  EXPECT_EQ(find_route("GET", "/v1/models/chat%2Fgemma/x")->argument, "chat/gemma/x");
  EXPECT_EQ(find_route("GET", "/api/tags")->kind, RouteKind::ollama_tags);
  EXPECT_EQ(find_route("GET", "/api/ps")->kind, RouteKind::ollama_ps);
  EXPECT_EQ(find_route("GET", "/api/version")->kind, RouteKind::ollama_version);
  EXPECT_EQ(find_route("POST", "/api/show")->kind, RouteKind::ollama_show);
}

TEST(Route, LeavesTheControlPlaneAlone) {
  for (const char* path : {"/v1/status", "/v1/leases", "/healthz", "/", "/c", "/v1/images/", "/v1/models/"})
    EXPECT_EQ(find_route("GET", path), std::nullopt) << path;
}

TEST(Route, SaysTheRightMethod) {
  EXPECT_EQ(find_route("GET", "/v1/chat/completions"),
            (Route{Protocol::openai, RouteKind::wrong_method, "POST", "/v1/chat/completions"}));
}

TEST(Route, ForwardsTheRestOfAConsumersPath) {
  auto consumer_route = [](std::string consumer, std::string target) {
    return Route{Protocol::plain, RouteKind::to_consumer, std::move(consumer), std::move(target)};
  };
  EXPECT_EQ(find_route("GET", "/c/comfy/prompt?x=%20a"), consumer_route("comfy", "/prompt?x=%20a"));
  EXPECT_EQ(find_route("PATCH", "/c/my%20tts"), consumer_route("my tts", "/"));
  EXPECT_EQ(find_route("GET", "/c/comfy?q"), consumer_route("comfy", "/?q"));
  EXPECT_EQ(find_route("GET", "/c/comfy//x"), consumer_route("comfy", "//x"));
}

TEST(Route, KnowsTheProtocolOfAForwardedPath) {
  EXPECT_EQ(find_route("POST", "/c/chat/v1/chat/completions?x")->protocol, Protocol::openai);
  EXPECT_EQ(find_route("POST", "/c/chat/api/chat")->protocol, Protocol::ollama);
}

TEST(Route, MatchesFreePaths) {
  EXPECT_TRUE(matches_path("/ws", "/ws"));
  EXPECT_FALSE(matches_path("/ws", "/wsx"));
  EXPECT_TRUE(matches_path("/history/*", "/history/1"));
  EXPECT_FALSE(matches_path("/history/*", "/history"));
}

}  // namespace
}  // namespace mgpu::gateway
