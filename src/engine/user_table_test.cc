#include "engine/user_table.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

TEST(Users, HaveOneNumberEach) {
  UserTable users;
  const auto ada = users.number_by_name("ada");
  EXPECT_NE(ada, 0u);
  EXPECT_NE(users.number_by_name("bob"), ada);
  EXPECT_EQ(users.number_by_name("ada"), ada);
  EXPECT_EQ(users.label(ada), "ada");
}

TEST(Users, AKeyIsToldApartButNeverShown) {
  UserTable users;
  const auto first = users.number_by_key("sk-secret");
  EXPECT_EQ(users.number_by_key("sk-secret"), first);
  EXPECT_NE(users.number_by_key("sk-other"), first);
  EXPECT_NE(users.number_by_name("sk-secret"), first);
  EXPECT_EQ(users.label(first), "key " + std::to_string(first));
}

TEST(Users, WhoWasHeardOfLongestAgoIsForgotten) {
  UserTable users(2);
  const auto ada = users.number_by_name("ada");
  const auto bob = users.number_by_name("bob");
  users.number_by_name("ada");
  users.number_by_name("eve");
  EXPECT_EQ(users.label(bob), "");
  EXPECT_EQ(users.number_by_name("ada"), ada);
  const auto again = users.number_by_name("bob");
  EXPECT_NE(again, bob);  // numbers are not reused: bob's old tickets must not count for another user
}

TEST(Users, NobodyHasNoName) { EXPECT_EQ(UserTable().label(0), ""); }

}  // namespace
}  // namespace mgpu::engine
