#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "gateway/gateway_harness.h"

#include "tests/zlib_encoded.h"

namespace mgpu::gateway {
namespace {

constexpr std::string_view kBody = R"({"input":"xxxxxxxxxxxxxxxxxxxxxxxx","model":"gemma"})";

TEST(DecodeBody, TheServiceReceivesThePlainBody) {
  GatewayHarness harness("POST", "/v1/responses", gzip(kBody));
  harness.caller.head.headers.emplace_back("content-encoding", "gzip");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 200) << harness.response_body;
  EXPECT_EQ(harness.forwarded_body, kBody);
  EXPECT_EQ(header(harness.forwarded_head.headers, "Content-Encoding"), "");
  EXPECT_EQ(harness.forwarded_head.length, kBody.size());
}

TEST(DecodeBody, AlsoWhereThePathNamesTheConsumer) {
  GatewayHarness harness("POST", "/c/chat/v1/anything", gzip(kBody));
  harness.caller.head.headers.emplace_back("Content-Encoding", "gzip");
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, kBody);
}

TEST(DecodeBody, AnAliasIsReplacedInTheDecodedBody) {
  GatewayHarness harness("POST", "/v1/responses", gzip(R"({"model":"chat"})"));
  harness.caller.head.headers.emplace_back("Content-Encoding", "gzip");
  harness.serve();
  EXPECT_EQ(harness.forwarded_body, R"({"model":"gemma"})");
}

TEST(DecodeBody, ABodyThatIsNotEncodedAsItSaysIsRefused) {
  GatewayHarness harness("POST", "/v1/responses", std::string(kBody));
  harness.caller.head.headers.emplace_back("Content-Encoding", "gzip");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 400);
  EXPECT_NE(harness.response_body.find("not valid gzip"), std::string::npos) << harness.response_body;
}

TEST(DecodeBody, AnUnknownEncodingIsNamed) {
  GatewayHarness harness("POST", "/v1/responses", std::string(kBody));
  harness.caller.head.headers.emplace_back("Content-Encoding", "lzma");
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 415);
  EXPECT_NE(harness.response_body.find("lzma"), std::string::npos) << harness.response_body;
}

TEST(DecodeBody, WhatItUnpacksToIsLimited) {
  const std::string bomb = R"({"input":")" + std::string(5'000'000, 'x') + R"(","model":"gemma"})";
  GatewayHarness harness("POST", "/v1/responses", gzip(bomb));
  harness.caller.head.headers.emplace_back("Content-Encoding", "gzip");
  harness.limits.max_body = Bytes{1'000'000};
  harness.serve();
  EXPECT_EQ(harness.response_head.status, 413) << harness.response_body;
}

}  // namespace
}  // namespace mgpu::gateway
