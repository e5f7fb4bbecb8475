#include "gateway/upload_rate.h"

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

using namespace std::chrono_literals;

TEST(UploadRate, ADrippingClientIsTooSlowAfterOneWindow) {
  UploadRate rate(kKiB);
  for (int second = 1; second < 5; ++second) EXPECT_TRUE(rate.keeps_up(1s, 1)) << second;
  EXPECT_FALSE(rate.keeps_up(1s, 1));
}

TEST(UploadRate, WhatCameInOneWindowIsNoCreditForTheNext) {
  UploadRate rate(kKiB);
  EXPECT_TRUE(rate.keeps_up(5s, 1'000'000));
  EXPECT_TRUE(rate.keeps_up(4s, 0));
  EXPECT_EQ(rate.patience(), Duration{1s});
  EXPECT_FALSE(rate.keeps_up(1s, 0));
}

TEST(UploadRate, TimeThatTheServiceTakesIsNotTheClients) {
  UploadRate rate(kKiB);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(rate.keeps_up(1ms, 2));
}

}  // namespace
}  // namespace mgpu::gateway
