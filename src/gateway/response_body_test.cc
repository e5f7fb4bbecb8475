#include "gateway/response_body.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace mgpu::gateway {
namespace {

using nlohmann::json;

TEST(ErrorBody, SpeaksTheCallersProtocol) {
  Error error{ErrorCode::queue_full, "1000 wait already"};
  EXPECT_EQ(json::parse(error_body(Protocol::openai, error)), (json{{"error",
                                                                     {{"message", "1000 wait already"},
                                                                      {"type", "rate_limit_error"},
                                                                      {"param", nullptr},
                                                                      {"code", "queue_full"}}}}));
  EXPECT_EQ(error_body(Protocol::ollama, error), R"({"error":"1000 wait already"})");
  EXPECT_EQ(error_body(Protocol::ollama, {ErrorCode::not_found, "there is no \"x\""}),
            R"({"error":"not found: there is no \"x\""})");
  EXPECT_EQ(error_body(Protocol::plain, error),
            R"({"error":{"code":"queue_full","message":"1000 wait already"}})");
}

TEST(ErrorBody, IsJsonWhateverItQuotes) {
  EXPECT_TRUE(json::accept(error_body(Protocol::openai, {ErrorCode::not_found, "no \"\xFF\n\""})));
}

TEST(ErrorInStream, ComesWhereTheStreamHasAPlaceForIt) {
  Error error{ErrorCode::service_down, "it died"};
  EXPECT_EQ(error_in_stream("Text/Event-Stream; charset=utf-8", Protocol::ollama, error),
            "data: {\"error\":\"it died\"}\n\n");
  EXPECT_EQ(error_in_stream("application/x-ndjson", Protocol::openai, error), "{\"error\":\"it died\"}\n");
  EXPECT_EQ(error_in_stream("audio/wav", Protocol::openai, error), "");
  EXPECT_EQ(error_in_stream("", Protocol::openai, error), "");
}

TEST(Listings, SayEveryName) {
  std::vector<ListedModel> listed = {{"chat", "chat", kGiB, true}, {"gemma", "chat", kGiB, false}};
  json models = json::parse(models_body(listed, 5));
  EXPECT_EQ(models["object"], "list");
  EXPECT_EQ(models["data"][1],
            (json{{"id", "gemma"}, {"object", "model"}, {"created", 5}, {"owned_by", "chat"}}));
}

}  // namespace
}  // namespace mgpu::gateway
