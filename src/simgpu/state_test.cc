#include "simgpu/state.h"

#include <gtest/gtest.h>

#include "mgpu/simgpu.h"

namespace mgpu::simgpu {
namespace {

constexpr Process kOne{.pid = 1, .start_time = 10};
constexpr Process kTwo{.pid = 2, .start_time = 20};

Device device_of(std::uint64_t total) {
  Device device;
  device.total = total;
  return device;
}

void settle_with_all_alive(Device& device, std::int64_t now) {
  settle(device, now, [](const Process&) { return true; });
}

TEST(SimulatedDevice, RefusesAndCountsWhatDoesNotFit) {
  Device device = device_of(1000);
  EXPECT_EQ(take(device, kOne, 600), MGPU_SIMGPU_OK);
  EXPECT_EQ(take(device, kTwo, 401), MGPU_SIMGPU_OUT_OF_MEMORY);
  EXPECT_EQ(take(device, kTwo, 400), MGPU_SIMGPU_OK);
  EXPECT_EQ(used(device), 1000U);
  EXPECT_EQ(device.oom_count, 1U);
  EXPECT_EQ(device.allocations, 2U);
  EXPECT_EQ(device.peak_used, 1000U);
}

TEST(SimulatedDevice, NobodyGetsWhatTheDriverReserves) {
  Device device = device_of(1000);
  device.reserved = 100;
  EXPECT_EQ(take(device, kOne, 901), MGPU_SIMGPU_OUT_OF_MEMORY);
  EXPECT_EQ(take(device, kOne, 900), MGPU_SIMGPU_OK);
}

TEST(SimulatedDevice, FreesOnlyWhatTheCallerHolds) {
  Device device = device_of(1000);
  take(device, kOne, 600);
  EXPECT_EQ(give_back(device, kTwo, 1, 0), MGPU_SIMGPU_INVALID_VALUE);
  EXPECT_EQ(give_back(device, kOne, 601, 0), MGPU_SIMGPU_INVALID_VALUE);
  EXPECT_EQ(give_back(device, kOne, 600, 0), MGPU_SIMGPU_OK);
  EXPECT_EQ(used(device), 0U);
}

TEST(SimulatedDevice, BytesOfADeadProcessComeBack) {
  Device device = device_of(1000);
  take(device, kOne, 600);
  take(device, kTwo, 300);
  settle(device, 0, [](const Process& process) { return process.pid == kTwo.pid; });
  EXPECT_EQ(used(device), 300U);
}

TEST(SimulatedDevice, SlowToFreeShowsTheBytesUntilTheTimeHasPassed) {
  Device device = device_of(1000);
  device.faults.slow_free_ms = 5;
  take(device, kOne, 600);
  give_back(device, kOne, 600, 0);
  settle_with_all_alive(device, 4'999'999);
  EXPECT_EQ(take(device, kTwo, 500), MGPU_SIMGPU_OUT_OF_MEMORY);
  settle_with_all_alive(device, 5'000'000);
  EXPECT_EQ(take(device, kTwo, 500), MGPU_SIMGPU_OK);
}

TEST(SimulatedDevice, SlowExitIsOnlyForWhatAnEndedProcessHeld) {
  Device device = device_of(1000);
  device.faults.slow_exit_ms = 5;
  take(device, kOne, 600);
  give_back(device, kOne, 200, 0);
  EXPECT_EQ(used(device), 400U);
  settle(device, 0, [](const Process&) { return false; });
  EXPECT_EQ(used(device), 400U);
  settle_with_all_alive(device, 5'000'000);
  EXPECT_EQ(used(device), 0U);
}

TEST(SimulatedDevice, ALeakStaysUntilItIsCleared) {
  Device device = device_of(1000);
  device.faults.leak_permille = 250;
  take(device, kOne, 800);
  give_back(device, kOne, 800, 0);
  EXPECT_EQ(used(device), 200U);
  clear_faults(device);
  EXPECT_EQ(used(device), 0U);
}

TEST(SimulatedDevice, AWrongReadingDoesNotFoolTheAllocator) {
  Device device = device_of(1000);
  device.faults.misread = 700;
  take(device, kOne, 500);
  EXPECT_EQ(reported_used(device), 1000U);
  EXPECT_EQ(take(device, kOne, 500), MGPU_SIMGPU_OK);
  device.faults.misread = -2000;
  EXPECT_EQ(reported_used(device), 0U);
}

TEST(SimulatedDevice, ALostDeviceGivesNothing) {
  Device device = device_of(1000);
  device.faults.lost = 1;
  EXPECT_EQ(take(device, kOne, 1), MGPU_SIMGPU_UNAVAILABLE);
  EXPECT_EQ(device.oom_count, 0U);
}

TEST(SimulatedDevice, ForeignBytesTakeRoom) {
  Device device = device_of(1000);
  device.faults.foreign = 300;
  EXPECT_EQ(take(device, kOne, 701), MGPU_SIMGPU_OUT_OF_MEMORY);
}

struct OneDevice {
  State state;
  Device& device = state.devices[0];
  OneDevice() {
    state.device_count = 1;
    device = device_of(1000);
    take(device, kOne, 600);
  }
};

TEST(Checkpoint, PutsBytesAsideAndBringsThemBack) {
  OneDevice gpu;
  EXPECT_EQ(checkpoint(gpu.state, 1, 0), MGPU_SIMGPU_INVALID_VALUE) << "not before it is locked";
  EXPECT_EQ(lock(gpu.state, 1), MGPU_SIMGPU_OK);
  EXPECT_EQ(take(gpu.device, kOne, 1), MGPU_SIMGPU_NOT_READY);
  EXPECT_EQ(checkpoint(gpu.state, 1, 0), MGPU_SIMGPU_OK);
  EXPECT_EQ(used(gpu.device), 0U);
  EXPECT_EQ(stage_of(gpu.state, 1), Stage::checkpointed);
  EXPECT_EQ(restore(gpu.state, 1), MGPU_SIMGPU_OK);
  EXPECT_EQ(used(gpu.device), 600U);
  EXPECT_EQ(unlock(gpu.state, 1), MGPU_SIMGPU_OK);
  EXPECT_EQ(give_back(gpu.device, kOne, 600, 0), MGPU_SIMGPU_OK);
}

TEST(Checkpoint, BringsNothingBackThatDoesNotFit) {
  OneDevice gpu;
  lock(gpu.state, 1);
  checkpoint(gpu.state, 1, 0);
  take(gpu.device, kTwo, 500);
  EXPECT_EQ(restore(gpu.state, 1), MGPU_SIMGPU_OUT_OF_MEMORY);
  EXPECT_EQ(gpu.device.oom_count, 1U);
  EXPECT_EQ(stage_of(gpu.state, 1), Stage::checkpointed);
}

TEST(Checkpoint, BytesPutAsideDieWithTheirProcess) {
  OneDevice gpu;
  lock(gpu.state, 1);
  checkpoint(gpu.state, 1, 0);
  gpu.device.faults.slow_free_ms = 1000;
  settle(gpu.device, 0, [](const Process&) { return false; });
  EXPECT_EQ(used(gpu.device), 0U) << "they were free already";
  EXPECT_EQ(stage_of(gpu.state, 1), std::nullopt);
}

}  // namespace
}  // namespace mgpu::simgpu
