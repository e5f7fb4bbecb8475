#include "gateway/query_model.h"

#include <gtest/gtest.h>

namespace mgpu::gateway {
namespace {

TEST(QueryModel, IsFoundAndDecoded) {
  EXPECT_EQ(model_in_query("/v1/realtime?model=chat"), "chat");
  EXPECT_EQ(model_in_query("/v1/realtime?x=1&model=hf.co%2Fa+b&model=other"), "hf.co/a b");
  for (const char* target :
       {"/v1/realtime", "/v1/realtime?", "/v1/realtime?models=x", "/model=x", "/x?a&model"})
    EXPECT_EQ(model_in_query(target), "") << target;
}

TEST(QueryModel, IsReplaced) {
  EXPECT_EQ(with_model_in_query("/a?x=1&model=chat&y=2", "q/8b"), "/a?x=1&model=q%2F8b&y=2");
  EXPECT_EQ(with_model_in_query("/a?x=1", "q"), "/a?x=1");
}

}  // namespace
}  // namespace mgpu::gateway
