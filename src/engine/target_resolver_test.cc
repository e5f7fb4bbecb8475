#include "engine/target_resolver.h"

#include <gtest/gtest.h>

#include "engine/setup.h"

namespace mgpu::engine {
namespace {

// An external Ollama with one configured AI model, a chat consumer with an alias, and a lease_only consumer.
struct ResolverFixture {
  boost::asio::io_context io;
  Clock clock;
  Journal journal{100};
  Setup setup;
  config::LiveConfig config;
  CoreLoop loop;
  TimedCalls timed_calls;
  TargetResolver targets;

  ResolverFixture()
      : ResolverFixture(parse(R"(
consumers:
  ollama: {service: ollama, url: "http://127.0.0.1:1", footprint: 8GiB, ai_models: {"small:1b": 2GiB}}
  chat: {service: generic, url: "http://127.0.0.1:2", footprint: 5GiB, aliases: [talk]}
  train: {footprint: 4GiB}
)")) {}
  explicit ResolverFixture(const config::Config& parsed)
      : setup(*make_setup(parsed, {{.total = kGiB * 24}})),
        config(parsed, setup.ids),
        loop(io, clock, setup.world, journal, {.execute = [](const Effect&) {}}),
        targets(loop, config, timed_calls, kGiB * 24, {},
                [](ConsumerId, const std::string&) { return LearnedCosts{}; }) {}

  static config::Config parse(const std::string& yaml) {
    const config::ParseResult parsed = config::parse(yaml, "mgpu.yaml");
    EXPECT_TRUE(parsed.diagnostics.empty());
    return parsed.config;
  }
  std::string error_of(std::string_view name) {
    const auto target = targets.resolve(name);
    return target ? "" : target.error().detail;
  }
};

TEST(TargetResolver, FindsAConsumerByNameAliasOrAiModel) {
  ResolverFixture fixture;
  EXPECT_EQ(fixture.targets.resolve("talk")->consumer, ConsumerId{1});
  EXPECT_EQ(fixture.targets.resolve("train")->resident, std::nullopt);
  const auto small = fixture.targets.resolve("small:1b");
  ASSERT_TRUE(small);
  EXPECT_EQ(small->consumer, ConsumerId{0});
  EXPECT_EQ(fixture.loop.world().registry[*small->resident].ai_model, "small:1b");
}

TEST(TargetResolver, ANewAiModelOfAServiceBecomesAResidentOnce) {
  ResolverFixture fixture;
  const std::size_t before = fixture.loop.world().registry.residents.size();
  const auto first = fixture.targets.resolve("ollama/large:70b");
  ASSERT_TRUE(first);
  EXPECT_EQ(fixture.targets.resolve("ollama/large:70b")->resident, first->resident);
  EXPECT_EQ(fixture.loop.world().registry.residents.size(), before + 1);
}

TEST(TargetResolver, WhatTheServiceDoesNotListIsUnknown) {
  ResolverFixture fixture;
  fixture.targets.replace_listed(ConsumerId{0}, {"listed:7b"});
  EXPECT_EQ(fixture.error_of("listed:7b"), "");
  EXPECT_NE(fixture.error_of("ollama/large:70b"), "");
  EXPECT_NE(fixture.error_of("no-such-thing"), "");
}

TEST(TargetResolver, NamesFollowTheConfigurationThatIsInForce) {
  ResolverFixture fixture;
  const config::Config next = ResolverFixture::parse("consumers: {train: {aliases: [fit]}}");
  fixture.config.replace(next, {.devices = fixture.config.ids().devices,
                                .consumers = config::assign_ids(fixture.config.ids().consumers, {"train"})});
  EXPECT_EQ(fixture.targets.resolve("fit")->consumer, ConsumerId{2});
  EXPECT_NE(fixture.error_of("talk"), "");
}

}  // namespace
}  // namespace mgpu::engine
