#include "gateway/route.h"

#include <string>
#include <utility>

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

TEST(Route, KnowsTheRoutesThatNameAModel) {
  for (const char* path :
       {"/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/embeddings", "/v1/rerank", "/rerank",
        "/v1/audio/transcriptions", "/v1/audio/translations", "/v1/audio/speech", "/v1/images/generations",
        "/v1/images/edits", "/v1/moderations", "/v1/reranking", "/v2/rerank", "/infill", "/completion",
        "/tokenize", "/apply-template"})
    EXPECT_EQ(find_route("POST", path), (Route{Protocol::openai, RouteKind::needs_turn, "", path})) << path;
  for (const char* path : {"/api/chat", "/api/generate", "/api/embed", "/api/embeddings"})
    EXPECT_EQ(find_route("POST", path), (Route{Protocol::ollama, RouteKind::needs_turn, "", path})) << path;
}

TEST(Route, KnowsAnthropicsRoutes) {
  for (const char* path : {"/v1/messages", "/v1/messages?beta=true", "/v1/messages/count_tokens"})
    EXPECT_EQ(find_route("POST", path), (Route{Protocol::anthropic, RouteKind::needs_turn, "", path}))
        << path;
}

TEST(Route, RoutesWithoutABodyQueueToo) {
  for (const char* target : {"/v1/realtime?model=chat", "/v1/audio/voices?model=tts"})
    EXPECT_EQ(find_route("GET", target), (Route{Protocol::openai, RouteKind::needs_turn, "", target}))
        << target;
}

TEST(Route, IgnoresExtraSlashes) {
  for (const char* target : {"//v1/chat/completions", "/v1//chat/completions", "/v1/chat/completions/",
                             "///v1/chat//completions//"})
    EXPECT_EQ(find_route("POST", target),
              (Route{Protocol::openai, RouteKind::needs_turn, "", "/v1/chat/completions"}))
        << target;
  EXPECT_EQ(find_route("GET", "/v1/models/?a=//")->kind, RouteKind::list_models);
  EXPECT_EQ(find_route("GET", "//c/comfy//x")->target, "//x");
  EXPECT_EQ(find_route("GET", "/v1/models/a//b")->argument, "a//b");
  EXPECT_EQ(find_route("GET", "//")->kind, RouteKind::ollama_root);
}

TEST(Route, RedirectsAConsumersNameWithoutASlash) {
  EXPECT_EQ(find_route("GET", "/c/my%20tts"),
            (Route{Protocol::plain, RouteKind::add_slash, "/c/my%20tts/", "/c/my%20tts"}));
  EXPECT_EQ(find_route("HEAD", "/c/comfy?q=1")->argument, "/c/comfy/?q=1");
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

TEST(Route, AnswersOllamasClientsAtTheRoot) {
  for (const char* method : {"GET", "HEAD"})
    EXPECT_EQ(find_route(method, "/", "*/*")->kind, RouteKind::ollama_root) << method;
  EXPECT_EQ(find_route("GET", "/", "text/html,application/xhtml+xml"), std::nullopt) << "a browser";
}

TEST(Route, TakesAllOfOllamasPaths) {
  for (const char* path : {"/api/pull", "/api/push", "/api/create", "/api/copy", "/api/blobs/sha256:0",
                           "/api/me", "/api/signout"})
    EXPECT_EQ(find_route("POST", path)->kind, RouteKind::ollama_files) << path;
  EXPECT_EQ(find_route("DELETE", "/api/delete")->kind, RouteKind::ollama_files);
  EXPECT_EQ(find_route("HEAD", "/api/blobs/sha256:0")->kind, RouteKind::ollama_files);
  EXPECT_EQ(find_route("POST", "/api/new?x=1"),
            (Route{Protocol::ollama, RouteKind::ollama_other, "", "/api/new?x=1"}));
  EXPECT_EQ(find_route("PUT", "/api/blobs/sha256:0"),
            (Route{Protocol::ollama, RouteKind::wrong_method, "HEAD, POST", "/api/blobs/sha256:0"}));
}

TEST(Route, LeavesTheControlPlaneAlone) {
  for (const char* path : {"/v1/status", "/v1/leases", "/healthz", "/api", "/c", "/v1/images/"})
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
  EXPECT_EQ(find_route("POST", "/c/comfy?q"), consumer_route("comfy", "/?q"));
  EXPECT_EQ(find_route("GET", "/c/comfy//x"), consumer_route("comfy", "//x"));
}

TEST(Route, KnowsTheProtocolOfAForwardedPath) {
  EXPECT_EQ(find_route("POST", "/c/chat/v1/chat/completions?x")->protocol, Protocol::openai);
  EXPECT_EQ(find_route("POST", "/c/chat/api/chat")->protocol, Protocol::ollama);
  for (const char* path : {"/c/comfyui/", "/c/comfyui/api/prompt"})
    EXPECT_EQ(find_route("POST", path)->protocol, Protocol::plain) << path;
}

TEST(Route, MatchesFreePaths) {
  EXPECT_TRUE(matches_path("/ws", "/ws"));
  EXPECT_FALSE(matches_path("/ws", "/wsx"));
  EXPECT_TRUE(matches_path("/history/*", "/history/1"));
  EXPECT_FALSE(matches_path("/history/*", "/history"));
}

}  // namespace
}  // namespace mgpu::gateway
