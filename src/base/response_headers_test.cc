#include "base/response_headers.h"

#include <gtest/gtest.h>

namespace mgpu {
namespace {

TEST(ServerTiming, SeparatesQueueTimeFromLoadTimeInMilliseconds) {
  EXPECT_EQ(server_timing_header(Duration{2500}, Duration{1000}, Duration{2'000'000}),
            "queue;dur=1.5, load;dur=1.0, run;dur=2000.0");
}

TEST(RetryAfter, IsRoundedUpToWholeSeconds) {
  EXPECT_EQ(retry_after_header({.code = ErrorCode::queue_full, .retry_after = Duration{1}}), "1");
  EXPECT_EQ(retry_after_header({.code = ErrorCode::load_failed, .retry_after = Duration{2'000'001}}), "3");
}

TEST(RetryAfter, IsAbsentIfTheErrorHasNone) {
  EXPECT_EQ(retry_after_header({.code = ErrorCode::never_fits}), std::nullopt);
}

}  // namespace
}  // namespace mgpu
