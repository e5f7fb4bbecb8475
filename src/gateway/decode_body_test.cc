#include <optional>
#include <string>
#include <string_view>

#include <gtest/gtest.h>
#include <zlib.h>

#include "gateway/gateway_harness.h"

namespace mgpu::gateway {
namespace {

std::string gzip(std::string_view plain) {
  z_stream stream{};
  deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string encoded(deflateBound(&stream, plain.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(encoded.data());
  stream.avail_out = static_cast<uInt>(encoded.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  encoded.resize(stream.total_out);
  deflateEnd(&stream);
  return encoded;
}

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
