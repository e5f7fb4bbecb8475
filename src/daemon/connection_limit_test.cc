#include "daemon/connection_limit.h"

#include <gtest/gtest.h>

namespace mgpu::daemon {
namespace {

TEST(ConnectionLimit, IsTheConfiguredOneWhereAllFit) {
  EXPECT_EQ(fit_connection_limit(4096, 3, 524'288), 4096u);
}

TEST(ConnectionLimit, ShrinksToTheLimitOfOpenFiles) {
  EXPECT_EQ(fit_connection_limit(4096, 1, 1024), (1024u - 64 - 6) / 3);
  EXPECT_LT(fit_connection_limit(4096, 20, 1024), fit_connection_limit(4096, 1, 1024));
}

TEST(ConnectionLimit, LeavesAFewConnectionsWhereNoneFit) {
  EXPECT_EQ(fit_connection_limit(4096, 1, 10), kMinConnections);
  EXPECT_EQ(fit_connection_limit(2, 1, 10), 2u);
}

}  // namespace
}  // namespace mgpu::daemon
