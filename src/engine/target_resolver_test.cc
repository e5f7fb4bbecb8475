#include "engine/target_resolver.h"

#include <string>
#include <vector>

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

TEST(TargetResolver, OllamasNamesHaveNoCaseAndADefaultTag) {
  ResolverFixture fixture;
  fixture.targets.replace_listed(ConsumerId{0}, {"Listed:7B", "plain:latest"});
  const auto small = fixture.targets.resolve("small:1b");
  for (const char* name :
       {"SMALL:1b", "library/small:1B", "registry.ollama.ai/library/Small:1b", "ollama/small:1B"})
    EXPECT_EQ(fixture.targets.resolve(name)->resident, small->resident) << name;
  EXPECT_EQ(fixture.targets.resolve("listed:7b")->ai_model, "Listed:7B") << "as the service spells it";
  EXPECT_EQ(fixture.targets.resolve("Plain")->ai_model, "plain:latest");
  EXPECT_EQ(fixture.targets.resolve("chat:latest")->consumer, ConsumerId{1})
      << "clients of Ollama add the tag";
  EXPECT_NE(fixture.error_of("Chat"), "") << "other names have case";
}

TEST(TargetResolver, FilesTellNamesUntilTheServiceDoes) {
  ResolverFixture fixture;
  const ConsumerId ollama{0};
  fixture.targets.replace_catalog(ollama, {{.name = "stored:7b", .digest = "d"}});
  EXPECT_EQ(fixture.error_of("stored:7b"), "");
  EXPECT_EQ(fixture.targets.names().ai_models(ollama), (std::vector<std::string>{"small:1b", "stored:7b"}));
  EXPECT_EQ(fixture.targets.names().facts(ollama, "STORED:7b")->digest, "d");
  fixture.targets.replace_listed(ollama, {"other:7b"});
  EXPECT_EQ(fixture.targets.names().ai_models(ollama), (std::vector<std::string>{"small:1b", "other:7b"}));
  EXPECT_NE(fixture.error_of("stored:7b"), "");
  fixture.targets.replace_catalog(ollama, {{.name = "stored:7b"}, {.name = "new:1b"}});
  EXPECT_EQ(fixture.error_of("new:1b"), "") << "it came since";
  fixture.targets.replace_catalog(ollama, {{.name = "stored:7b"}});
  EXPECT_NE(fixture.error_of("ollama/new:1b"), "")
      << "it went since, and its resident does not bring it back";
}

TEST(TargetResolver, NamesThatShareWeightsHaveOneResident) {
  ResolverFixture fixture;
  const ConsumerId ollama{0};
  fixture.targets.replace_catalog(ollama, {{.name = "base:latest", .weights = "w"},
                                           {.name = "copy:latest", .weights = "w"},
                                           {.name = "small:1b", .weights = "v"},
                                           {.name = "mine:latest", .weights = "v"}});
  const Target base = *fixture.targets.resolve("base");
  const Target copy = *fixture.targets.resolve("Copy");
  EXPECT_EQ(base.resident, copy.resident);
  EXPECT_EQ(copy.ai_model, "copy:latest") << "the request keeps its name";
  EXPECT_EQ(fixture.targets.resolve("mine")->resident, fixture.targets.resolve("small:1b")->resident)
      << "also with one that was configured";
  EXPECT_NE(base.resident, fixture.targets.resolve("mine")->resident);
  EXPECT_EQ(fixture.targets.find_or_add_resident(ollama, "copy:latest", {}), *base.resident)
      << "the service may list it under either name";
}

TEST(TargetResolver, AServiceIsToldANameThatExists) {
  ResolverFixture fixture;
  const ConsumerId ollama{0};
  const AiModelFacts base{.name = "base:latest", .weights = "w"}, copy{.name = "copy:latest", .weights = "w"};
  fixture.targets.replace_catalog(ollama, {base, copy});
  fixture.targets.replace_listed(ollama, {"base:latest", "copy:latest"});
  const ResidentId resident = *fixture.targets.resolve("base")->resident;
  EXPECT_EQ(fixture.targets.choose_service_name(resident), "base:latest");
  (void)fixture.targets.resolve("copy");
  EXPECT_EQ(fixture.targets.choose_service_name(resident), "copy:latest")
      << "with its parameters it is loaded once";
  fixture.targets.replace_listed(ollama, {"base:latest"});
  EXPECT_EQ(fixture.targets.choose_service_name(resident), "base:latest");
  fixture.targets.replace_listed(ollama, {"copy:latest"});
  fixture.targets.replace_catalog(ollama, {copy});
  EXPECT_EQ(fixture.targets.choose_service_name(resident), "copy:latest");
}

}  // namespace
}  // namespace mgpu::engine
