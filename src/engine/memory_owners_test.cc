#include "engine/memory_owners.h"

#include <gtest/gtest.h>

namespace mgpu::engine {
namespace {

// A process that the daemon runs on gpu0, an external service on both devices, and a consumer without either.
struct OwnersFixture {
  Registry registry;
  Sample sample{.device = DeviceId{0}};
  OwnerCandidates candidates{.runs = {{.pid = 100, .process_group = 100}, {}, {}},
                             .ports = {std::nullopt, 11434, std::nullopt}};

  OwnersFixture() {
    add_consumer(registry, {.name = "chat", .device = DeviceId{0}});
    add_consumer(registry, {.name = "ollama", .devices = {DeviceId{0}, DeviceId{1}}, .split = {1, 1}});
    add_consumer(registry, {.name = "train", .device = DeviceId{0}, .lease_only = true});
  }
  std::vector<gpu::Owner> owners() const { return find_memory_owners(registry, sample, candidates); }
};

TEST(MemoryOwners, ARunOwnsItsProcessesOnItsOwnDeviceOnly) {
  OwnersFixture fixture;
  const auto owners = fixture.owners();
  ASSERT_EQ(owners.size(), 1u);
  EXPECT_EQ(std::get<ConsumerId>(owners[0].id), ConsumerId{0});
  EXPECT_EQ(owners[0].root_pid, 100);
  EXPECT_EQ(owners[0].process_group, 100);
  fixture.sample.device = DeviceId{1};
  EXPECT_TRUE(fixture.owners().empty());
}

TEST(MemoryOwners, AnExternalServiceIsFoundByItsListener) {
  OwnersFixture fixture;
  fixture.sample.device = DeviceId{1};
  fixture.sample.listener_pids = {{11434, 200}};
  fixture.sample.processes[200].cgroup = {.unit = "ollama.service"};
  auto owners = fixture.owners();
  ASSERT_EQ(owners.size(), 1u);
  EXPECT_EQ(std::get<ConsumerId>(owners[0].id), ConsumerId{1});
  EXPECT_EQ(owners[0].root_pid, 200);
  EXPECT_EQ(owners[0].unit, "ollama.service");
  // The unit that contains the daemon itself identifies no owner.
  fixture.candidates.own_cgroup.unit = "ollama.service";
  owners = fixture.owners();
  EXPECT_EQ(owners[0].unit, "");
}

TEST(MemoryOwners, ATicketsProcessCountsForItsConsumerOrElseForTheTicket) {
  OwnersFixture fixture;
  fixture.candidates.runs = {{}, {}, {}};
  fixture.candidates.ticket_processes = {
      {.ticket = TicketId{1}, .request = {.consumer = ConsumerId{2}}, .pid = 300},
      {.ticket = TicketId{2}, .request = {.device = DeviceId{0}}, .pid = 400, .slurm_job = "4711"},
      {.ticket = TicketId{3}, .request = {.device = DeviceId{1}}, .pid = 500}};
  const auto owners = fixture.owners();
  ASSERT_EQ(owners.size(), 2u);
  EXPECT_EQ(std::get<ConsumerId>(owners[0].id), ConsumerId{2});
  EXPECT_EQ(std::get<TicketId>(owners[1].id), TicketId{2});
  EXPECT_EQ(owners[1].slurm_job, "4711");
}

}  // namespace
}  // namespace mgpu::engine
