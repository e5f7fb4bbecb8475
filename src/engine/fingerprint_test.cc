#include "engine/fingerprint.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

config::ConsumerConfig chat_config() {
  config::ConsumerConfig consumer{
      .name = "chat",
      .process = config::ProcessConfig{.command = {"server", "-c", "8192"}, .env = {{"A", "1"}}}};
  consumer.service.type = config::ServiceType::llama_server;
  consumer.service.url = "http://127.0.0.1:9001";
  return consumer;
}

// The value is stored on disk: a later version of mgpu must compute the same one.
TEST(Fingerprint, StaysTheSameForEver) { EXPECT_EQ(memory_fingerprint(chat_config()), "60f9b73c2154c8b5"); }

TEST(Fingerprint, WhatChangesMemoryChangesIt) {
  config::ConsumerConfig longer = chat_config();
  longer.process->command.back() = "32768";
  config::ConsumerConfig otherwise = chat_config();
  otherwise.process->env["A"] = "2";
  config::ConsumerConfig split = chat_config();
  split.process->command = {"server", "-c8192"};

  EXPECT_NE(memory_fingerprint(longer), memory_fingerprint(chat_config()));
  EXPECT_NE(memory_fingerprint(otherwise), memory_fingerprint(chat_config()));
  EXPECT_NE(memory_fingerprint(split), memory_fingerprint(chat_config()));
}

TEST(Fingerprint, OfAContainerKnowsItsImageAndCommand) {
  config::ConsumerConfig container{.name = "chat"};
  container.container = config::ContainerConfig{.image = "vllm:1", .command = {"--model", "qwen"}};
  config::ConsumerConfig newer = container;
  newer.container->image = "vllm:2";
  config::ConsumerConfig larger = container;
  larger.container->command.back() = "llama";

  EXPECT_NE(memory_fingerprint(newer), memory_fingerprint(container));
  EXPECT_NE(memory_fingerprint(larger), memory_fingerprint(container));
}

TEST(Fingerprint, WhereItMayBePlacedMattersToItsProcessOnly) {
  config::ConsumerConfig placed = chat_config();
  placed.devices = {"gpu0", "gpu1"};
  config::ConsumerConfig elsewhere = chat_config();
  elsewhere.devices = {"gpu0", "gpu2"};

  EXPECT_EQ(memory_fingerprint(placed), memory_fingerprint(chat_config()));
  EXPECT_NE(process_fingerprint(placed), process_fingerprint(chat_config()));
  EXPECT_NE(process_fingerprint(placed), process_fingerprint(elsewhere));
}

TEST(Fingerprint, WhereItListensMattersToItsProcessOnly) {
  config::ConsumerConfig moved = chat_config();
  moved.service.url = "http://127.0.0.1:9002";

  EXPECT_EQ(memory_fingerprint(moved), memory_fingerprint(chat_config()));
  EXPECT_NE(process_fingerprint(moved), process_fingerprint(chat_config()));
}

}  // namespace
}  // namespace mgpu::engine
