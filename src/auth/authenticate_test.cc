#include "auth/authenticate.h"

#include <string>

#include <gtest/gtest.h>

namespace mgpu::auth {
namespace {

TEST(Authenticate, ReadsUserAndKeyFromTheHead) {
  const auto principal =
      authenticate({.headers = {{"x-mgpu-user", "ada"}, {"authorization", "bearer sk-1"}}}, "10.0.0.9");
  ASSERT_TRUE(principal) << principal.error().detail;
  EXPECT_EQ(principal->address, "10.0.0.9");
  EXPECT_FALSE(principal->is_local);
  EXPECT_EQ(principal->user, "ada");
  EXPECT_EQ(principal->api_key, "sk-1");
}

TEST(Authenticate, TakesNoOtherSchemeForAKey) {
  const auto principal = authenticate({.headers = {{"Authorization", "Basic YTpi"}}}, "10.0.0.9");
  ASSERT_TRUE(principal);
  EXPECT_EQ(principal->user + principal->api_key, "");
}

TEST(Authenticate, KnowsThisMachine) {
  for (const char* address : {"127.0.0.1", "127.0.0.53", "::1", "::ffff:127.0.0.1"})
    EXPECT_TRUE(authenticate({}, address)->is_local) << address;
  for (const char* address : {"10.0.0.9", "::ffff:10.0.0.9", "fe80::1", "::", "1127.0.0.1", ""})
    EXPECT_FALSE(authenticate({}, address)->is_local) << address;
}

TEST(Authenticate, RefusesAUserNameOverItsLimit) {
  const std::string longest(kMaxUserLength, 'x');
  EXPECT_TRUE(authenticate({.headers = {{"X-Mgpu-User", longest}}}, "::1"));
  const auto refused = authenticate({.headers = {{"X-Mgpu-User", longest + "x"}}}, "::1");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::invalid_request);
  EXPECT_EQ(refused.error().detail, "X-Mgpu-User: is longer than 128");
}

}  // namespace
}  // namespace mgpu::auth
