#include "gateway/json_fields.h"

#include <array>

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 3> kNames{"model", "keep_alive", "messages"};

json values_in_pieces(const std::string& body, std::size_t length) {
  JsonFields fields(kNames);
  for (std::size_t at = 0; at < body.size(); at += length) fields.feed(body.substr(at, length));
  return fields.is_object() ? fields.values() : json();
}

// The values found; null if it is no object.
json values_of(const std::string& body) {
  const json values = values_in_pieces(body, body.size() + 1);
  EXPECT_EQ(values_in_pieces(body, 1), values) << body;
  return values;
}

std::string text_at(const std::string& body, std::string_view name) {
  JsonFields fields(kNames);
  fields.feed(body);
  EXPECT_TRUE(fields.is_object()) << body;
  const auto range = fields.range_of(name);
  return range ? body.substr(range->begin, range->end - range->begin) : "absent";
}

TEST(JsonFields, FindsMembersWhereverTheyStand) {
  EXPECT_EQ(values_of(R"({"model":"m","messages":[{"content":"a}\"]"}],"keep_alive":"5m"})"),
            json::parse(R"({"model":"m","messages":[{"content":"a}\"]"}],"keep_alive":"5m"})"));
  EXPECT_EQ(values_of("{ \"keep_alive\" : -1 }"), json::parse(R"({"keep_alive":-1})"));
  EXPECT_EQ(values_of(R"({"keep_alive":0,"x":{"model":"no"}})"), json::parse(R"({"keep_alive":0})"));
  EXPECT_EQ(values_of("\xEF\xBB\xBF{}"), json::object());
  EXPECT_EQ(values_of(R"({"messages":[],"keep_alive":null})"),
            json::parse(R"({"messages":[],"keep_alive":null})"));
}

TEST(JsonFields, ReadsKeysAsOllamaDoes) {
  EXPECT_EQ(values_of(R"({"Keep_Alive":1,"keep_alive":2})"), json::parse(R"({"keep_alive":2})"));
  EXPECT_EQ(values_of(R"({"keep\u005falive":3})"), json::parse(R"({"keep_alive":3})"));
}

TEST(JsonFields, OfALongValueItKnowsThatItIsNotEmpty) {
  const std::string body = R"({"messages":")" + std::string(JsonFields::kMaxValue, 'x') + R"(","model":"m"})";
  EXPECT_EQ(values_of(body), json::parse(R"({"messages":"...","model":"m"})"));
}

TEST(JsonFields, TellsWhereAValueStands) {
  EXPECT_EQ(text_at(R"({"model":"m","keep_alive" : "5m" })", "keep_alive"), R"("5m")");
  EXPECT_EQ(text_at(R"({"keep_alive":-1,"model":"m"})", "keep_alive"), "-1");
  EXPECT_EQ(text_at(R"({"messages": [1, {"a": 2}] })", "messages"), R"([1, {"a": 2}])");
  EXPECT_EQ(text_at(R"({"model":"m"})", "keep_alive"), "absent");
}

TEST(JsonFields, AddsAMemberInFront) {
  for (const std::string body : {R"({"model":"m"})", R"( { "model":"m"})", "{}", "{ }"}) {
    JsonFields fields(kNames);
    fields.feed(body);
    std::string edited = body;
    edited.insert(fields.range_of_first().begin, fields.first_member("keep_alive", "-1"));
    json expected = json::parse(body);
    expected["keep_alive"] = -1;
    EXPECT_EQ(json::parse(edited, nullptr, false), expected) << edited;
  }
}

TEST(JsonFields, WhatIsNoObjectHasNone) {
  for (const std::string body : {"", "[]", "1", "{", R"({"model")", R"({"model":})", R"({"model":"m"} x)",
                                 R"({"model":"m",})", R"({"model" "m"})", R"({model:"m"})", "a=b", "{}{}"})
    EXPECT_EQ(values_of(body), json()) << body;
}

}  // namespace
}  // namespace mgpu::gateway
