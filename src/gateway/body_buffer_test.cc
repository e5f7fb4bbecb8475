#include "gateway/body_buffer.h"

#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <unistd.h>

namespace mgpu::gateway {
namespace {

const auto budget =
    std::make_shared<BodyBudget>(BodyBudget{.memory_left = 1'000'000, .disk_left = 1'000'000});

std::string drain(BodyBuffer& body, std::size_t step) {
  std::string all;
  while (true) {
    auto piece = body.read_next(step);
    EXPECT_TRUE(piece) << piece.error().detail;
    if (!piece || piece->empty()) return all;
    all += *piece;
  }
}

TEST(BodyBuffer, GivesBackWhatItTookInMemoryAndBeyond) {
  BodyBuffer body(Bytes{4}, budget);
  for (const char* piece : {"ab", "cdef", "", "ghij"}) ASSERT_TRUE(body.append(piece));
  EXPECT_EQ(body.size(), 10U);
  EXPECT_EQ(drain(body, 3), "abcdefghij");
  body.rewind();
  EXPECT_EQ(drain(body, 100), "abcdefghij");
}

TEST(BodyBuffer, ReplacesASpanWhereverItLies) {
  for (std::int64_t in_memory : {0, 1, 3, 4, 6, 100})
    for (std::uint64_t begin = 0; begin < 8; ++begin)
      for (std::string text : {"", "X", "LONGER"}) {
        BodyBuffer body(Bytes{in_memory}, budget);
        ASSERT_TRUE(body.append("01234567"));
        body.replace({begin, begin + 1}, text);
        std::string wanted = std::string("01234567").replace(begin, 1, text);
        EXPECT_EQ(body.size(), wanted.size());
        EXPECT_EQ(drain(body, 2), wanted);
        body.rewind();
        EXPECT_EQ(drain(body, 5), wanted);
      }
}

TEST(BodyBuffer, AllTogetherStayWithinTheirBudgetAndGiveItBack) {
  const auto small = std::make_shared<BodyBudget>(BodyBudget{.memory_left = 6, .disk_left = 5});
  {
    BodyBuffer first(Bytes{4}, small), second(Bytes{4}, small), third(Bytes{4}, small);
    EXPECT_TRUE(first.append("abcd"));
    EXPECT_TRUE(second.append("efgh")) << "half of it in a file";
    EXPECT_EQ(small->memory_left, 0U);
    EXPECT_EQ(small->disk_left, 3U);
    EXPECT_EQ(drain(second, 10), "efgh");
    const auto refused = third.append("ijkl");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::queue_full);
    EXPECT_GT(refused.error().retry_after.count(), 0);
    first.clear();
    EXPECT_EQ(small->memory_left, 4U);
    EXPECT_TRUE(third.append("ijkl"));
    BodyBuffer moved(std::move(third));
    EXPECT_EQ(drain(moved, 10), "ijkl");
  }
  EXPECT_EQ(small->memory_left, 6U);
  EXPECT_EQ(small->disk_left, 5U);
}

TEST(BodyBuffer, LeavesNoFileBehindAndSaysWhereItCouldNotMakeOne) {
  auto folder = std::filesystem::temp_directory_path() / ("early_body_" + std::to_string(::getpid()));
  std::filesystem::create_directory(folder);
  BodyBuffer body(Bytes{1}, budget, folder);
  ASSERT_TRUE(body.append("spilled"));
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  std::filesystem::remove(folder);
  BodyBuffer unwritable(Bytes{1}, budget, folder);
  auto result = unwritable.append("spilled");
  ASSERT_FALSE(result);
  EXPECT_NE(result.error().detail.find(folder.string()), std::string::npos);
}

TEST(BodyBuffer, ReplacesSeveralRangesInAnyOrder) {
  for (const std::int64_t limit : {100, 3}) {
    for (const std::size_t piece : {1U, 2U, 100U}) {
      BodyBuffer body(Bytes{limit}, budget);
      ASSERT_TRUE(body.append("0123456789"));
      body.replace({7, 9}, "seven");
      body.replace({1, 1}, "+");
      body.replace({2, 4}, "");
      EXPECT_EQ(body.size(), 12U);
      for (int pass = 0; pass < 2; ++pass, body.rewind())
        EXPECT_EQ(drain(body, piece), "0+1456seven9") << limit << ' ' << piece;
    }
  }
}

}  // namespace
}  // namespace mgpu::gateway
