#include "service/credential.h"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

namespace mgpu::service {
namespace {

TEST(Credential, ComesFromTheEnvironment) {
  setenv("MGPU_TEST_KEY", "secret ", 1);
  const auto header = read_credential({.type = config::ServiceType::ollama, .api_key_env = "MGPU_TEST_KEY"});
  ASSERT_TRUE(header);
  EXPECT_EQ(header->value(), Header("Authorization", "Bearer secret"));
  unsetenv("MGPU_TEST_KEY");
}

TEST(Credential, ComesFromTheFirstLineOfAFile) {
  const auto path = testing::TempDir() + "mgpu_credential_test";
  std::ofstream(path) << "secret\nsomething else\n";
  const auto header = read_credential({.type = config::ServiceType::generic, .api_key_file = path});
  ASSERT_TRUE(header);
  EXPECT_EQ(header->value(), Header("Authorization", "Bearer secret"));
}

TEST(Credential, WhatIsNotThereIsSaid) {
  const auto missing = read_credential({.api_key_env = "MGPU_TEST_NO_SUCH_KEY"});
  ASSERT_FALSE(missing);
  EXPECT_NE(missing.error().detail.find("MGPU_TEST_NO_SUCH_KEY"), std::string::npos);
  EXPECT_EQ(read_credential({.api_key_file = "/nowhere/at/all"}).error().code, ErrorCode::invalid_config);
  EXPECT_FALSE(read_credential({})->has_value()) << "none is asked for";
}

}  // namespace
}  // namespace mgpu::service
