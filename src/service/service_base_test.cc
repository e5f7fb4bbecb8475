// Numbers in an application's answers are untrusted: none may overflow a sum or a count of the daemon.
#include "service/service_base.h"

#include <limits>

#include <gtest/gtest.h>

namespace mgpu::service {
namespace {

using nlohmann::json;

TEST(NumberOrZero, IsZeroForWhatCanBeNoAmount) {
  EXPECT_EQ(number_or_zero(json{{"size", 4096}}, "size"), 4096);
  EXPECT_EQ(number_or_zero(json{{"size", -1}}, "size"), -1);
  for (const json& size : {json(1e300), json(std::numeric_limits<std::uint64_t>::max()), json("4096")})
    EXPECT_EQ(number_or_zero(json{{"size", size}}, "size"), 0) << size;
}

TEST(CountFromNumber, IsZeroForWhatCanBeNoCount) {
  EXPECT_EQ(count_from_number(3), 3U);
  for (const double number :
       {-1.0, 1e300, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()})
    EXPECT_EQ(count_from_number(number), 0U) << number;
}

TEST(SumMetric, OfNonsenseIsNoCount) {
  for (const char* value : {"NaN", "+Inf", "-5", "1e300"})
    EXPECT_EQ(count_from_number(sum_metric("running " + std::string(value) + "\n", "running")), 0U) << value;
}

}  // namespace
}  // namespace mgpu::service
