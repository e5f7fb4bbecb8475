#include "simgpu/state.h"

#include <gtest/gtest.h>

#include "mgpu/simgpu.h"

namespace mgpu::simgpu {
namespace {

constexpr ProcessIdentity kFirstProcess{.pid = 1, .start_time = 10};
constexpr ProcessIdentity kSecondProcess{.pid = 2, .start_time = 20};

Device make_device(std::uint64_t total) {
  Device device;
  device.total = total;
  return device;
}

void advance_with_all_alive(Device& device, std::int64_t now) {
  advance_device(device, now, [](const ProcessIdentity&) { return true; });
}

TEST(SimulatedDevice, RefusesAndCountsWhatDoesNotFit) {
  Device device = make_device(1000);
  EXPECT_EQ(allocate(device, kFirstProcess, 600), MGPU_SIMGPU_OK);
  EXPECT_EQ(allocate(device, kSecondProcess, 401), MGPU_SIMGPU_OUT_OF_MEMORY);
  EXPECT_EQ(allocate(device, kSecondProcess, 400), MGPU_SIMGPU_OK);
  EXPECT_EQ(used_bytes(device), 1000U);
  EXPECT_EQ(device.oom_count, 1U);
  EXPECT_EQ(device.allocations, 2U);
  EXPECT_EQ(device.peak_used, 1000U);
}

TEST(SimulatedDevice, TheDriversReserveCantBeAllocated) {
  Device device = make_device(1000);
  device.reserved = 100;
  EXPECT_EQ(allocate(device, kFirstProcess, 901), MGPU_SIMGPU_OUT_OF_MEMORY);
  EXPECT_EQ(allocate(device, kFirstProcess, 900), MGPU_SIMGPU_OK);
}

TEST(SimulatedDevice, FreesOnlyWhatTheCallerHolds) {
  Device device = make_device(1000);
  allocate(device, kFirstProcess, 600);
  EXPECT_EQ(deallocate(device, kSecondProcess, 1, 0), MGPU_SIMGPU_INVALID_VALUE);
  EXPECT_EQ(deallocate(device, kFirstProcess, 601, 0), MGPU_SIMGPU_INVALID_VALUE);
  EXPECT_EQ(deallocate(device, kFirstProcess, 600, 0), MGPU_SIMGPU_OK);
  EXPECT_EQ(used_bytes(device), 0U);
}

TEST(SimulatedDevice, BytesOfAnExitedProcessBecomeFree) {
  Device device = make_device(1000);
  allocate(device, kFirstProcess, 600);
  allocate(device, kSecondProcess, 300);
  advance_device(device, 0, [](const ProcessIdentity& process) { return process.pid == kSecondProcess.pid; });
  EXPECT_EQ(used_bytes(device), 300U);
}

TEST(SimulatedDevice, SlowFreeKeepsBytesUsedUntilTheDelayIsOver) {
  Device device = make_device(1000);
  device.faults.slow_free_ms = 5;
  allocate(device, kFirstProcess, 600);
  deallocate(device, kFirstProcess, 600, 0);
  advance_with_all_alive(device, 4'999'999);
  EXPECT_EQ(allocate(device, kSecondProcess, 500), MGPU_SIMGPU_OUT_OF_MEMORY);
  advance_with_all_alive(device, 5'000'000);
  EXPECT_EQ(allocate(device, kSecondProcess, 500), MGPU_SIMGPU_OK);
}

TEST(SimulatedDevice, SlowExitAppliesOnlyToExitedProcesses) {
  Device device = make_device(1000);
  device.faults.slow_exit_ms = 5;
  allocate(device, kFirstProcess, 600);
  deallocate(device, kFirstProcess, 200, 0);
  EXPECT_EQ(used_bytes(device), 400U);
  advance_device(device, 0, [](const ProcessIdentity&) { return false; });
  EXPECT_EQ(used_bytes(device), 400U);
  advance_with_all_alive(device, 5'000'000);
  EXPECT_EQ(used_bytes(device), 0U);
}

TEST(SimulatedDevice, ALeakStaysUntilItIsCleared) {
  Device device = make_device(1000);
  device.faults.leak_permille = 250;
  allocate(device, kFirstProcess, 800);
  deallocate(device, kFirstProcess, 800, 0);
  EXPECT_EQ(used_bytes(device), 200U);
  clear_faults(device);
  EXPECT_EQ(used_bytes(device), 0U);
}

TEST(SimulatedDevice, AMisreadDoesNotAffectTheAllocator) {
  Device device = make_device(1000);
  device.faults.misread = 700;
  allocate(device, kFirstProcess, 500);
  EXPECT_EQ(reported_used_bytes(device), 1000U);
  EXPECT_EQ(allocate(device, kFirstProcess, 500), MGPU_SIMGPU_OK);
  device.faults.misread = -2000;
  EXPECT_EQ(reported_used_bytes(device), 0U);
}

TEST(SimulatedDevice, ALostDeviceRefusesAllocations) {
  Device device = make_device(1000);
  device.faults.lost = 1;
  EXPECT_EQ(allocate(device, kFirstProcess, 1), MGPU_SIMGPU_UNAVAILABLE);
  EXPECT_EQ(device.oom_count, 0U);
}

TEST(SimulatedDevice, ForeignBytesTakeRoom) {
  Device device = make_device(1000);
  device.faults.foreign = 300;
  EXPECT_EQ(allocate(device, kFirstProcess, 701), MGPU_SIMGPU_OUT_OF_MEMORY);
}

struct OneDeviceFixture {
  State state;
  Device& device = state.devices[0];
  OneDeviceFixture() {
    state.device_count = 1;
    device = make_device(1000);
    allocate(device, kFirstProcess, 600);
  }
};

TEST(Checkpoint, MovesBytesToHostMemoryAndBack) {
  OneDeviceFixture gpu;
  EXPECT_EQ(checkpoint_process(gpu.state, 1, 0), MGPU_SIMGPU_INVALID_VALUE) << "not before it is locked";
  EXPECT_EQ(lock_process(gpu.state, 1), MGPU_SIMGPU_OK);
  EXPECT_EQ(allocate(gpu.device, kFirstProcess, 1), MGPU_SIMGPU_NOT_READY);
  EXPECT_EQ(checkpoint_process(gpu.state, 1, 0), MGPU_SIMGPU_OK);
  EXPECT_EQ(used_bytes(gpu.device), 0U);
  EXPECT_EQ(find_checkpoint_state(gpu.state, 1), CheckpointState::checkpointed);
  EXPECT_EQ(restore_process(gpu.state, 1), MGPU_SIMGPU_OK);
  EXPECT_EQ(used_bytes(gpu.device), 600U);
  EXPECT_EQ(unlock_process(gpu.state, 1), MGPU_SIMGPU_OK);
  EXPECT_EQ(deallocate(gpu.device, kFirstProcess, 600, 0), MGPU_SIMGPU_OK);
}

TEST(Checkpoint, RestoreFailsIfTheBytesDoNotFit) {
  OneDeviceFixture gpu;
  lock_process(gpu.state, 1);
  checkpoint_process(gpu.state, 1, 0);
  allocate(gpu.device, kSecondProcess, 500);
  EXPECT_EQ(restore_process(gpu.state, 1), MGPU_SIMGPU_OUT_OF_MEMORY);
  EXPECT_EQ(gpu.device.oom_count, 1U);
  EXPECT_EQ(find_checkpoint_state(gpu.state, 1), CheckpointState::checkpointed);
}

TEST(Checkpoint, BytesOfAnExitedCheckpointedProcessAreNotFreedTwice) {
  OneDeviceFixture gpu;
  lock_process(gpu.state, 1);
  checkpoint_process(gpu.state, 1, 0);
  gpu.device.faults.slow_free_ms = 1000;
  advance_device(gpu.device, 0, [](const ProcessIdentity&) { return false; });
  EXPECT_EQ(used_bytes(gpu.device), 0U) << "they were free already";
  EXPECT_EQ(find_checkpoint_state(gpu.state, 1), std::nullopt);
}

}  // namespace
}  // namespace mgpu::simgpu
