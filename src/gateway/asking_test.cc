#include "gateway/asking.h"

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

using namespace std::chrono_literals;

TEST(Asking, IsReadFromTheHeaders) {
  const auto asking = asking_of({{"x-mgpu-priority", "interactive"},
                                 {"X-Mgpu-User", "ada"},
                                 {"X-Mgpu-Wait-Limit", "30s"},
                                 {"X-Mgpu-Deadline", "10s"},
                                 {"Authorization", "Bearer sk-1"}});
  ASSERT_TRUE(asking) << asking.error().detail;
  EXPECT_EQ(asking->priority, Priority::interactive);
  EXPECT_EQ(asking->user, "ada");
  EXPECT_EQ(asking->api_key, "sk-1");
  EXPECT_EQ(asking->wait_limit, 30s);
  EXPECT_EQ(asking->deadline, 10s);
}

TEST(Asking, WithoutHeadersSaysNothing) {
  const auto asking = asking_of({{"Authorization", "Basic YTpi"}});
  ASSERT_TRUE(asking);
  EXPECT_FALSE(asking->priority);
  EXPECT_EQ(asking->user + asking->api_key, "");
  EXPECT_EQ(asking->wait_limit + asking->deadline, 0s);
}

TEST(Asking, NamesTheHeaderThatIsWrong) {
  for (const auto& [name, value] : http::Headers{{"X-Mgpu-Priority", "urgent"},
                                                 {"X-Mgpu-User", std::string(200, 'x')},
                                                 {"X-Mgpu-Wait-Limit", "30"},
                                                 {"X-Mgpu-Deadline", "0"}}) {
    const auto asking = asking_of({{name, value}});
    ASSERT_FALSE(asking) << name;
    EXPECT_EQ(asking.error().code, ErrorCode::invalid_request);
    EXPECT_TRUE(asking.error().detail.starts_with(name + ": ")) << asking.error().detail;
  }
}

TEST(Asking, OurHeadersAreForUsWhateverTheirCase) {
  EXPECT_TRUE(is_for_us("X-Mgpu-User"));
  EXPECT_TRUE(is_for_us("x-mgpu-anything"));
  EXPECT_FALSE(is_for_us("X-Mg"));
  EXPECT_FALSE(is_for_us("Authorization"));
}

}  // namespace
}  // namespace mgpu::gateway
