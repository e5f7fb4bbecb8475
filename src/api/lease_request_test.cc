#include "api/lease_request.h"

#include <gtest/gtest.h>

namespace mgpu::api {
namespace {

TEST(LeaseRequest, ReadsEveryKey) {
  const auto request = parse_lease_request(
      R"({"consumer":"tts","ai_model":"m","device":"gpu0","bytes":"6GiB","wait_limit":"30s","ttl":"1m",
          "bind":"connection","pid":42,"who":"train.py","priority":"batch","user":"ada","deadline":"10s"})");
  ASSERT_TRUE(request) << request.error().detail;
  EXPECT_EQ(request->consumer, "tts");
  EXPECT_EQ(request->bytes, kGiB * 6);
  EXPECT_EQ(request->wait_limit, std::chrono::seconds(30));
  EXPECT_EQ(request->ttl, std::chrono::minutes(1));
  EXPECT_TRUE(request->bound_to_connection);
  EXPECT_EQ(request->pid, 42);
  EXPECT_EQ(request->priority, Priority::batch);
  EXPECT_EQ(request->user, "ada");
  EXPECT_EQ(request->deadline, std::chrono::seconds(10));
}

TEST(LeaseRequest, TakesBytesAsANumber) { EXPECT_EQ(parse_lease_request(R"({"bytes":1024})")->bytes, kKiB); }

TEST(LeaseRequest, NamesTheKnownKeysToWhoeverMistypesOne) {
  const auto request = parse_lease_request(R"({"consumr":"tts"})");
  ASSERT_FALSE(request);
  EXPECT_EQ(request.error().code, ErrorCode::invalid_request);
  EXPECT_NE(request.error().detail.find("consumr"), std::string::npos);
  EXPECT_NE(request.error().detail.find("consumer, ai_model, device"), std::string::npos);
}

TEST(LeaseRequest, RefusesWhatMakesNoSense) {
  for (const char* body : {"",
                           "[]",
                           "{",
                           "{}",
                           R"({"bytes":-1})",
                           R"({"bytes":1e300})",
                           R"({"bytes":9223372036854775807})",
                           R"({"bytes":1e400})",
                           R"({"bytes":"99999999TiB"})",
                           R"({"bytes":1,"ttl":"99999999h"})",
                           R"({"bytes":1,"wait_limit":"99999999h"})",
                           R"({"bytes":1,"deadline":"99999999h"})",
                           R"({"bytes":"6 apples"})",
                           R"({"consumer":7})",
                           R"({"consumer":"a","ttl":"0"})",
                           R"({"consumer":"a","pid":-1})",
                           R"({"consumer":"a","pid":1})",
                           R"({"consumer":"a","pid":1.0})",
                           R"({"consumer":"a","priority":"urgent"})",
                           R"({"consumer":"a","user":7})",
                           R"({"consumer":"a","deadline":10})",
                           R"({"consumer":"a","bind":"forever"})",
                           R"({"consumer":"a","wait_limit":30})"})
    EXPECT_FALSE(parse_lease_request(body)) << body;
}

}  // namespace
}  // namespace mgpu::api
