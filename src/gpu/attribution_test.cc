#include "gpu/attribution.h"

#include <gtest/gtest.h>

namespace mgpu::gpu {
namespace {

constexpr ConsumerId kLlm{1};
constexpr TicketId kLease{9};

TEST(Attribution, GivesAConsumerItsWholeTreeAndLeavesTheRestForeign) {
  const RawReading reading{.used = {1000},
                           .processes = {{.pid = 12, .bytes = Bytes{300}},
                                         {.pid = 10, .bytes = Bytes{200}},
                                         {.pid = 50, .bytes = Bytes{100}}}};
  const ProcessTable processes{{10, {.parent = 1}},
                               {11, {.parent = 10}},
                               {12, {.parent = 11}},
                               {50, {.parent = 1, .command = "game"}}};
  const auto result = attribute(reading, std::vector<Owner>{{.who = kLlm, .root_pid = 10}}, processes, {});
  EXPECT_TRUE(result.by_process);
  EXPECT_EQ(result.consumers, (std::vector<Attribution::OfConsumer>{{kLlm, {500}}}));
  EXPECT_EQ(result.foreign, Bytes{500});  // the driver's number, not the sum of its list
  ASSERT_EQ(result.foreign_processes.size(), 1U);
  EXPECT_EQ(result.foreign_processes[0].command, "game");
}

TEST(Attribution, TheNearestRootHasAProcess) {
  const RawReading reading{.used = {300}, .processes = {{.pid = 12, .bytes = Bytes{300}}}};
  const ProcessTable processes{{10, {.parent = 1}}, {11, {.parent = 10}}, {12, {.parent = 11}}};
  const auto result =
      attribute(reading, std::vector<Owner>{{.who = kLlm, .root_pid = 10}, {.who = kLease, .root_pid = 11}},
                processes, {});
  EXPECT_TRUE(result.consumers.empty());
  EXPECT_EQ(result.leases, (std::vector<Attribution::OfLease>{{kLease, {300}}}));
}

TEST(Attribution, AnOrphanIsFoundByItsGroup) {
  const RawReading reading{.used = {300}, .processes = {{.pid = 12, .bytes = Bytes{300}}}};
  const ProcessTable processes{{12, {.parent = 1, .group = 10}}};
  const auto result = attribute(
      reading, std::vector<Owner>{{.who = kLlm, .root_pid = 10, .process_group = 10}}, processes, {});
  EXPECT_EQ(result.foreign, Bytes{0});
}

TEST(Attribution, SaysSoWhereTheDriverDoesNotTellAndReckonsFromWhatIsExpected) {
  const RawReading reading{.used = {1000}, .processes = {{.pid = 10}}};
  const auto result = attribute(reading, std::vector<Owner>{{.who = kLlm, .root_pid = 10}}, {}, {700});
  EXPECT_FALSE(result.by_process);
  EXPECT_TRUE(result.consumers.empty());
  EXPECT_EQ(result.foreign, Bytes{300});
  EXPECT_EQ(attribute({.used = {100}, .lists_processes = false}, {}, {}, {700}).foreign, Bytes{0});
}

TEST(Attribution, AStrangersUnknownBytesSpoilNothing) {
  const RawReading reading{.used = {1000}, .processes = {{.pid = 10, .bytes = Bytes{400}}, {.pid = 50}}};
  const auto result = attribute(reading, std::vector<Owner>{{.who = kLlm, .root_pid = 10}}, {}, {});
  EXPECT_TRUE(result.by_process);
  EXPECT_EQ(result.foreign, Bytes{600});
}

TEST(Attribution, ForeignIsNeverNegative) {
  const RawReading reading{.used = {100}, .processes = {{.pid = 10, .bytes = Bytes{400}}}};
  EXPECT_EQ(attribute(reading, std::vector<Owner>{{.who = kLlm, .root_pid = 10}}, {}, {}).foreign, Bytes{0});
}

TEST(Attribution, ACircleOfParentsEnds) {
  const RawReading reading{.used = {1}, .processes = {{.pid = 5, .bytes = Bytes{1}}}};
  const ProcessTable processes{{5, {.parent = 6}}, {6, {.parent = 5}}};
  EXPECT_EQ(attribute(reading, std::vector<Owner>{{.who = kLlm, .root_pid = 10}}, processes, {}).foreign,
            Bytes{1});
}

}  // namespace
}  // namespace mgpu::gpu
