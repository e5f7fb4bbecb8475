#include "service/out_of_memory.h"

#include <gtest/gtest.h>

namespace mgpu::service {
namespace {

using config::ServiceType;

TEST(OutOfMemory, IsSaidByTorchLlamaCppAndOllama) {
  EXPECT_TRUE(says_out_of_memory(ServiceType::generic, 500,
                                 R"({"error":"OutOfMemoryError","errors":"CUDA out of memory. Tried ..."})"));
  EXPECT_TRUE(says_out_of_memory(ServiceType::llama_server, 500, "cudaMalloc failed: out of memory"));
  EXPECT_TRUE(says_out_of_memory(ServiceType::ollama, 500, R"({"error":"hipMalloc failed"})"));
  EXPECT_FALSE(says_out_of_memory(ServiceType::ollama, 500, R"({"error":"unexpected EOF"})"));
}

TEST(OutOfMemory, IsNotSaidByAnAnswerThatTalksAboutIt) {
  EXPECT_FALSE(
      says_out_of_memory(ServiceType::ollama, 200, R"({"response":"CUDA out of memory means ..."})"));
  EXPECT_FALSE(
      says_out_of_memory(ServiceType::generic, 422, R"({"detail":[{"input":"CUDA out of memory? why"}]})"));
}

TEST(OutOfMemory, IsReadInLogsWhateverTheirCase) {
  EXPECT_TRUE(
      log_says_out_of_memory(ServiceType::llama_server, "ggml_cuda: CUDAMALLOC FAILED: Out of memory"));
  EXPECT_FALSE(log_says_out_of_memory(ServiceType::llama_server, "main: server is listening"));
}

}  // namespace
}  // namespace mgpu::service
