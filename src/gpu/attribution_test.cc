#include "gpu/attribution.h"

#include <gtest/gtest.h>

namespace mgpu::gpu {
namespace {

constexpr ConsumerId kLlm{1};
constexpr TicketId kLease{9};

TEST(Attribution, AssignsAProcessTreeToItsConsumerAndTheRestToForeign) {
  const RawReading reading{.used = {1000},
                           .processes = {{.pid = 12, .bytes = Bytes{300}},
                                         {.pid = 10, .bytes = Bytes{200}},
                                         {.pid = 50, .bytes = Bytes{100}}}};
  const ProcessTable processes{{10, {.parent = 1}},
                               {11, {.parent = 10}},
                               {12, {.parent = 11}},
                               {50, {.parent = 1, .command = "game"}}};
  const auto result = attribute(reading, std::vector<Owner>{{.id = kLlm, .root_pid = 10}}, processes, {});
  EXPECT_TRUE(result.by_process);
  EXPECT_EQ(result.consumers, (std::vector<Attribution::ConsumerBytes>{{kLlm, {500}}}));
  EXPECT_EQ(result.processes, (std::vector<Attribution::ConsumerProcess>{{kLlm, 12}, {kLlm, 10}}));
  EXPECT_EQ(result.foreign, Bytes{500});  // from the driver's total, not from its list
  ASSERT_EQ(result.foreign_processes.size(), 1U);
  EXPECT_EQ(result.foreign_processes[0].command, "game");
}

TEST(Attribution, TheNearestRootOwnsAProcess) {
  const RawReading reading{.used = {300}, .processes = {{.pid = 12, .bytes = Bytes{300}}}};
  const ProcessTable processes{{10, {.parent = 1}}, {11, {.parent = 10}}, {12, {.parent = 11}}};
  const auto result =
      attribute(reading, std::vector<Owner>{{.id = kLlm, .root_pid = 10}, {.id = kLease, .root_pid = 11}},
                processes, {});
  EXPECT_TRUE(result.consumers.empty());
  EXPECT_EQ(result.leases, (std::vector<Attribution::LeaseBytes>{{kLease, {300}}}));
}

TEST(Attribution, AnOrphanIsFoundByItsGroup) {
  const RawReading reading{.used = {300}, .processes = {{.pid = 12, .bytes = Bytes{300}}}};
  const ProcessTable processes{{12, {.parent = 1, .group = 10}}};
  const auto result = attribute(
      reading, std::vector<Owner>{{.id = kLlm, .root_pid = 10, .process_group = 10}}, processes, {});
  EXPECT_EQ(result.foreign, Bytes{0});
}

TEST(Attribution, AProcessThatLeftTreeAndGroupIsFoundByItsRun) {
  const RawReading reading{.used = {500},
                           .processes = {{.pid = 12, .bytes = Bytes{300}}, {.pid = 13, .bytes = Bytes{200}}}};
  const ProcessTable processes{{12, {.parent = 1, .group = 12, .run = "a-1-2-3"}},
                               {13, {.parent = 1, .group = 13, .run = "a-1-2-4"}}};
  const std::vector<Owner> owners{{.id = kLlm, .run = "a-1-2-3"}, {.id = kLlm, .root_pid = 99}};
  const auto result = attribute(reading, owners, processes, {});
  EXPECT_EQ(result.consumers, (std::vector<Attribution::ConsumerBytes>{{kLlm, {300}}}));
  EXPECT_EQ(result.foreign, Bytes{200}) << "another run";
  ASSERT_EQ(result.owned_processes.size(), 1U);
  EXPECT_TRUE(result.owned_processes[0].has_owners_run);
}

const std::string kContainerId = "4f1c9a0b7d2e8f3a5c6b1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f00";

// The bytes that `owner` gets of a process with 300 bytes and the cgroup `names`.
Bytes attributed_bytes(Owner owner, const CgroupNames& names) {
  owner.id = kLlm;
  const RawReading reading{.used = {300}, .processes = {{.pid = 12, .bytes = Bytes{300}}}};
  const auto result =
      attribute(reading, std::vector<Owner>{owner}, {{12, {.parent = 1, .group = 12, .cgroup = names}}}, {});
  return result.consumers.empty() ? Bytes{} : result.consumers.front().bytes;
}

TEST(Attribution, AProcessIsFoundByItsUnitItsContainerOrItsJob) {
  EXPECT_EQ(attributed_bytes({.unit = "ollama.service"}, {.unit = "ollama.service"}), Bytes{300});
  EXPECT_EQ(attributed_bytes({.container = kContainerId}, {.container = kContainerId}), Bytes{300});
  EXPECT_EQ(attributed_bytes({.container = kContainerId.substr(0, 12)}, {.container = kContainerId}),
            Bytes{300});
  EXPECT_EQ(attributed_bytes({.slurm_job = "4711"}, {.slurm_job = "4711"}), Bytes{300});
}

TEST(Attribution, EmptyOrDifferentNamesDoNotMatch) {
  EXPECT_EQ(attributed_bytes({.root_pid = 10}, {}), Bytes{0});
  EXPECT_EQ(attributed_bytes({.unit = "ollama.service"}, {.unit = "whisper.service"}), Bytes{0});
  EXPECT_EQ(attributed_bytes({.container = kContainerId.substr(0, 6)}, {.container = kContainerId}),
            Bytes{0});  // too short an id
  EXPECT_EQ(attributed_bytes({.slurm_job = "471"}, {.slurm_job = "4711"}), Bytes{0});
}

TEST(Attribution, AContainerTakesPrecedenceOverTheUnitThatRunsIt) {
  const RawReading reading{.used = {300}, .processes = {{.pid = 12, .bytes = Bytes{300}}}};
  const ProcessTable processes{
      {12, {.parent = 1, .cgroup = {.unit = "pod.service", .container = kContainerId}}}};
  const auto result = attribute(reading,
                                std::vector<Owner>{{.id = ConsumerId{2}, .unit = "pod.service"},
                                                   {.id = kLlm, .container = kContainerId}},
                                processes, {});
  EXPECT_EQ(result.consumers, (std::vector<Attribution::ConsumerBytes>{{kLlm, {300}}}));
}

TEST(Attribution, AnUnreadableProcessOfAnOwnerMakesTheSumsUnknownAndAForeignOneDoesNot) {
  RawReading reading{.used = {1000}, .unreadable_pids = {11}};
  const ProcessTable processes{{10, {.parent = 1}}, {11, {.parent = 10}}};
  const std::vector<Owner> ours{{.id = kLlm, .root_pid = 10}};
  EXPECT_FALSE(attribute(reading, ours, processes, {700}).by_process);
  reading.unreadable_pids = {50};
  EXPECT_TRUE(attribute(reading, ours, processes, {700}).by_process);
}

TEST(Attribution, UnknownBytesOfAnOwnerMakeForeignUsedMinusExpected) {
  const RawReading reading{.used = {1000}, .processes = {{.pid = 10}}};
  const auto result = attribute(reading, std::vector<Owner>{{.id = kLlm, .root_pid = 10}}, {}, {700});
  EXPECT_FALSE(result.by_process);
  EXPECT_TRUE(result.consumers.empty());
  EXPECT_EQ(result.foreign, Bytes{300});
  EXPECT_EQ(attribute({.used = {100}, .lists_processes = false}, {}, {}, {700}).foreign, Bytes{0});
}

TEST(Attribution, UnknownBytesOfAForeignProcessAreForeign) {
  const RawReading reading{.used = {1000}, .processes = {{.pid = 10, .bytes = Bytes{400}}, {.pid = 50}}};
  const auto result = attribute(reading, std::vector<Owner>{{.id = kLlm, .root_pid = 10}}, {}, {});
  EXPECT_TRUE(result.by_process);
  EXPECT_EQ(result.foreign, Bytes{600});
}

TEST(Attribution, ForeignIsNeverNegative) {
  const RawReading reading{.used = {100}, .processes = {{.pid = 10, .bytes = Bytes{400}}}};
  EXPECT_EQ(attribute(reading, std::vector<Owner>{{.id = kLlm, .root_pid = 10}}, {}, {}).foreign, Bytes{0});
}

TEST(Attribution, ACycleOfParentsTerminates) {
  const RawReading reading{.used = {1}, .processes = {{.pid = 5, .bytes = Bytes{1}}}};
  const ProcessTable processes{{5, {.parent = 6}}, {6, {.parent = 5}}};
  EXPECT_EQ(attribute(reading, std::vector<Owner>{{.id = kLlm, .root_pid = 10}}, processes, {}).foreign,
            Bytes{1});
}

}  // namespace
}  // namespace mgpu::gpu
