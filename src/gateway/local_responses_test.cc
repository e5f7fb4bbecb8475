#include "gateway/local_responses.h"

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

TEST(LocalResponses, ListEveryNameWithoutATurn) {
  GatewayHarness harness("GET", "/v1/models");
  harness.serve();
  EXPECT_NE(harness.response_body.find(R"("id":"gemma")"), std::string::npos);
  EXPECT_EQ(harness.leases_given, 0);
  GatewayHarness one("GET", "/v1/models/nothing");
  one.serve();
  EXPECT_EQ(one.response_head.status, 404);
}

TEST(LocalResponses, NameTheMethodThatARouteTakes) {
  GatewayHarness harness("GET", kChatPath);
  ASSERT_TRUE(parse_request(harness.request()));
  ASSERT_TRUE(harness.run(respond_locally(harness.request())));
  EXPECT_EQ(harness.response_head.status, 405);
  EXPECT_EQ(header(harness.response_head.headers, "Allow"), "POST");
  EXPECT_FALSE(harness.finished) << "that is for account()";
}

TEST(LocalResponses, OfHeadRequestsHaveNoBody) {
  GatewayHarness harness("HEAD", "/api/tags");
  harness.serve();
  EXPECT_GT(harness.response_head.length.value_or(0), 0U);
  EXPECT_EQ(harness.response_body, "");
}

TEST(LocalResponses, OllamaShowAsksOnlyAServiceThatCanAnswer) {
  GatewayHarness generic("POST", "/api/show", R"({"name":"gemma"})");
  generic.serve();
  EXPECT_EQ(generic.response_head.status, 200);
  EXPECT_EQ(generic.forwarded_body, "");
  GatewayHarness ollama("POST", "/api/show", R"({"name":"gemma"})");
  ollama.config.service.type = config::ServiceType::ollama;
  ollama.serve();
  EXPECT_EQ(ollama.forwarded_body, R"({"name":"gemma"})");
  EXPECT_EQ(ollama.response_body, "data: 1\n\ndata: 2\n\n");
  EXPECT_EQ(ollama.leases_given, 0);
  GatewayHarness down("POST", "/api/show", R"({"name":"gemma"})");
  down.config.service.type = config::ServiceType::ollama;
  down.service_responds = false;
  down.serve();
  EXPECT_EQ(down.response_head.status, 200) << "the gateway answers for it";
  EXPECT_NE(down.response_body, "");
}

TEST(LocalResponses, OllamaRuns) {
  GatewayHarness harness("GET", "/");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 200);
  EXPECT_EQ(header(harness.response_head.headers, "Content-Type"), "text/plain; charset=utf-8");
  EXPECT_EQ(harness.response_body, "Ollama is running");
}

TEST(LocalResponses, TheVersionIsOursWithoutAnOllama) {
  GatewayHarness harness("GET", "/api/version");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 200);
  EXPECT_EQ(harness.response_body, R"({"version":"0.12.0"})");
}

}  // namespace
}  // namespace mgpu::gateway
