#include "gateway/queue_options.h"

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

using namespace std::chrono_literals;

TEST(QueueOptions, AreReadFromTheHeaders) {
  const auto options = parse_queue_options(
      {{"x-mgpu-priority", "interactive"}, {"X-Mgpu-Wait-Limit", "30s"}, {"X-Mgpu-Deadline", "10s"}});
  ASSERT_TRUE(options) << options.error().detail;
  EXPECT_EQ(options->priority, Priority::interactive);
  EXPECT_EQ(options->wait_limit, 30s);
  EXPECT_EQ(options->deadline, 10s);
}

TEST(QueueOptions, WithoutHeadersAreEmpty) {
  const auto options = parse_queue_options({{"Authorization", "Basic YTpi"}});
  ASSERT_TRUE(options);
  EXPECT_FALSE(options->priority);
  EXPECT_EQ(options->wait_limit + options->deadline, 0s);
}

TEST(QueueOptions, NameTheHeaderThatIsWrong) {
  for (const auto& [name, value] :
       http::Headers{{"X-Mgpu-Priority", "urgent"}, {"X-Mgpu-Wait-Limit", "30"}, {"X-Mgpu-Deadline", "0"}}) {
    const auto options = parse_queue_options({{name, value}});
    ASSERT_FALSE(options) << name;
    EXPECT_EQ(options.error().code, ErrorCode::invalid_request);
    EXPECT_TRUE(options.error().detail.starts_with(name + ": ")) << options.error().detail;
  }
}

TEST(QueueOptions, MgpuHeadersAreKnownInAnyCase) {
  EXPECT_TRUE(is_mgpu_header("X-Mgpu-User"));
  EXPECT_TRUE(is_mgpu_header("x-mgpu-anything"));
  EXPECT_FALSE(is_mgpu_header("X-Mg"));
  EXPECT_FALSE(is_mgpu_header("Authorization"));
}

}  // namespace
}  // namespace mgpu::gateway
