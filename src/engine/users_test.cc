#include "engine/users.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

TEST(Users, HaveOneNumberEach) {
  Users users;
  const auto ada = users.named("ada");
  EXPECT_NE(ada, 0u);
  EXPECT_NE(users.named("bob"), ada);
  EXPECT_EQ(users.named("ada"), ada);
  EXPECT_EQ(users.shown(ada), "ada");
}

TEST(Users, AKeyIsToldApartButNeverShown) {
  Users users;
  const auto first = users.with_key("sk-secret");
  EXPECT_EQ(users.with_key("sk-secret"), first);
  EXPECT_NE(users.with_key("sk-other"), first);
  EXPECT_NE(users.named("sk-secret"), first);
  EXPECT_EQ(users.shown(first), "key " + std::to_string(first));
}

TEST(Users, WhoWasHeardOfLongestAgoIsForgotten) {
  Users users(2);
  const auto ada = users.named("ada");
  const auto bob = users.named("bob");
  users.named("ada");
  users.named("eve");
  EXPECT_EQ(users.shown(bob), "");
  EXPECT_EQ(users.named("ada"), ada);
  const auto again = users.named("bob");
  EXPECT_NE(again, bob);  // numbers are not given twice: bob's old tickets stay his alone
}

TEST(Users, NobodyHasNoName) { EXPECT_EQ(Users().shown(0), ""); }

}  // namespace
}  // namespace mgpu::engine
