#include "gateway/upload_rate_monitor.h"

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

using namespace std::chrono_literals;

TEST(UploadRate, ADrippingClientIsTooSlowAfterOneWindow) {
  UploadRateMonitor rate(kKiB);
  for (int second = 1; second < 5; ++second) EXPECT_TRUE(rate.record_chunk(1s, 1)) << second;
  EXPECT_FALSE(rate.record_chunk(1s, 1));
}

TEST(UploadRate, WhatCameInOneWindowIsNoCreditForTheNext) {
  UploadRateMonitor rate(kKiB);
  EXPECT_TRUE(rate.record_chunk(5s, 1'000'000));
  EXPECT_TRUE(rate.record_chunk(4s, 0));
  EXPECT_EQ(rate.time_left(), Duration{1s});
  EXPECT_FALSE(rate.record_chunk(1s, 0));
}

TEST(UploadRate, TimeThatTheServiceTakesIsNotTheClients) {
  UploadRateMonitor rate(kKiB);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(rate.record_chunk(1ms, 2));
}

}  // namespace
}  // namespace mgpu::gateway
