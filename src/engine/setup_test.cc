#include "engine/setup.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

const std::vector<gpu::DeviceInfo> kTwoDevices{{.index = 0}, {.index = 1}};

// Fails the test if the text is not a valid configuration for two devices.
Setup setup_of(const std::string& yaml) {
  const config::ParseResult parsed = config::parse(yaml, "mgpu.yaml");
  EXPECT_TRUE(parsed.diagnostics.empty());
  auto setup = make_setup(parsed.config, kTwoDevices);
  EXPECT_TRUE(setup) << (setup ? "" : setup.error().detail);
  return setup ? std::move(*setup) : Setup{};
}

TEST(FromConfiguration, TellsTheCoreHowTheLineIsOrdered) {
  const World world = setup_of(R"(
policy: affinity
load_ahead: false
limits: {overtake_limit: 20s, ageing: 1m, reading_age: 2s, park_memory: 16GiB}
)")
                          .world;
  const SchedulingLimits& limits = world.limits;
  EXPECT_EQ(limits.policy, Policy::affinity);
  EXPECT_FALSE(limits.load_ahead);
  EXPECT_EQ(limits.overtake_limit, Duration{20'000'000});
  EXPECT_EQ(limits.ageing, Duration{60'000'000});
  EXPECT_EQ(limits.reading_age, Duration{2'000'000});
  EXPECT_EQ(world.registry.park_memory, kGiB * 16);
}

TEST(FromConfiguration, TheDefaultsOfTheFileAreThoseOfTheCore) {
  const World world = setup_of("").world;
  const SchedulingLimits& limits = world.limits;
  const SchedulingLimits core{};
  EXPECT_EQ(limits.policy, core.policy);
  EXPECT_EQ(limits.load_ahead, core.load_ahead);
  EXPECT_EQ(limits.overtake_limit, core.overtake_limit);
  EXPECT_EQ(limits.ageing, core.ageing);
  EXPECT_EQ(limits.reading_age, core.reading_age);
  EXPECT_EQ(world.registry.park_memory, Registry{}.park_memory);
}

TEST(FromConfiguration, FindsFollowersThatStandBelow) {
  const engine::Setup setup = setup_of("consumers: {stt: {followed_by: [tts, chat]}, chat: , tts: }");
  EXPECT_EQ(setup.world.registry[ConsumerId{0}].spec.followed_by,
            (std::vector{ConsumerId{2}, ConsumerId{1}}));
}

TEST(FromConfiguration, TellsWhatOfAConsumerOrdersAndBoundsItsTickets) {
  const engine::Setup setup = setup_of(R"(
consumers:
  tts: {priority: realtime, weight: 3, max_queue: 20, max_turn: 2m, reserved: true, footprint_is: at_least}
)");
  const Consumer& tts = setup.world.registry[ConsumerId{0}].spec;
  EXPECT_EQ(tts.priority, Priority::realtime);
  EXPECT_EQ(tts.weight, 3u);
  EXPECT_EQ(tts.max_queue, 20u);
  EXPECT_EQ(tts.max_turn, Duration{120'000'000});
  EXPECT_TRUE(tts.reserved);
  EXPECT_EQ(tts.footprint_declaration, FootprintDeclaration::at_least);
}

TEST(FromConfiguration, AConsumerOfSeveralDevicesBeginsOnTheFirst) {
  const engine::Setup setup = setup_of("consumers: {a: {devices: [gpu1, gpu0]}, b: {device: gpu1}, c: }");
  const Registry& registry = setup.world.registry;
  EXPECT_EQ(registry[ConsumerId{0}].spec.device, DeviceId{1});
  EXPECT_EQ(registry[ConsumerId{0}].spec.devices, (std::vector{DeviceId{1}, DeviceId{0}}));
  EXPECT_EQ(registry[ConsumerId{1}].spec.device, DeviceId{1});
  EXPECT_TRUE(registry[ConsumerId{1}].spec.devices.empty());
  EXPECT_EQ(registry[ConsumerId{2}].spec.device, DeviceId{0});
}

TEST(FromConfiguration, ADeviceThatTheDriverLacksIsRefused) {
  const config::ParseResult parsed = config::parse("consumers: {a: {devices: [gpu0, gpu7]}}", "mgpu.yaml");
  const auto setup = make_setup(parsed.config, kTwoDevices);
  ASSERT_FALSE(setup);
  EXPECT_EQ(setup.error().detail, "consumer a: there is no device gpu7");
}

}  // namespace
}  // namespace mgpu::engine
