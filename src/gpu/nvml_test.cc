// Tests the nvml provider with the simulated GPU, loaded by path like the driver's library.
#include <cstdlib>
#include <filesystem>

#include <gtest/gtest.h>
#include <unistd.h>

#include "gpu/provider.h"

#include "simgpu/state_file.h"

namespace mgpu::gpu {
namespace {

class NvmlProvider : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(simgpu::create_state_file(path_, {{.total = 1000, .reserved = 100}, {.total = 500}}));
    setenv("MGPU_SIMGPU", path_.c_str(), 1);
    auto opened = open_nvml(MGPU_SIMGPU_LIBRARY);
    ASSERT_TRUE(opened) << opened.error().detail;
    provider_ = std::move(*opened);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  simgpu::LockedState file() const { return std::move(*simgpu::LockedState::open(path_)); }

  std::string path_ = testing::TempDir() + "nvml_provider_" + std::to_string(getpid());
  std::unique_ptr<Provider> provider_;
};

TEST_F(NvmlProvider, ListsTheDevices) {
  ASSERT_EQ(provider_->devices().size(), 2U);
  EXPECT_EQ(provider_->devices()[1].total, Bytes{500});
  EXPECT_TRUE(provider_->devices()[1].simulated);
  EXPECT_NE(provider_->devices()[0].uuid, provider_->devices()[1].uuid);
  EXPECT_TRUE(provider_->read_telemetry(0).temperature_c);
}

TEST_F(NvmlProvider, ReadsMemoryAndProcesses) {
  simgpu::allocate(*file().device(0), simgpu::this_process(), 300);
  const auto reading = provider_->read(0);
  ASSERT_TRUE(reading);
  EXPECT_EQ(reading->used, Bytes{300});
  EXPECT_EQ(reading->driver_reserved, Bytes{100});
  ASSERT_EQ(reading->processes.size(), 1U);
  EXPECT_EQ(reading->processes[0].pid, getpid());
  EXPECT_EQ(reading->processes[0].bytes, Bytes{300});
}

TEST_F(NvmlProvider, HiddenBytesAreUnknownAndNotZero) {
  simgpu::allocate(*file().device(0), simgpu::this_process(), 300);
  file().device(0)->faults.hide_processes = 1;
  EXPECT_EQ(provider_->read(0)->processes.at(0).bytes, std::nullopt);
}

TEST_F(NvmlProvider, DistinguishesAMissingListFromAnEmptyOne) {
  simgpu::allocate(*file().device(0), simgpu::this_process(), 300);
  file().device(0)->faults.list = simgpu::ProcessListFault::none;
  EXPECT_FALSE(provider_->read(0)->lists_processes);
  file().device(0)->faults.list = simgpu::ProcessListFault::empty;
  EXPECT_TRUE(provider_->read(0)->lists_processes);
  EXPECT_TRUE(provider_->read(0)->processes.empty());
  EXPECT_EQ(provider_->read(0)->used, Bytes{300});
}

TEST_F(NvmlProvider, PassesOnAWrongReading) {
  file().device(0)->faults.misread = 50;
  EXPECT_EQ(provider_->read(0)->used, Bytes{50});
}

TEST_F(NvmlProvider, ALostDeviceIsReportedAndTheOtherStaysUsable) {
  file().device(0)->faults.lost = 1;
  EXPECT_EQ(provider_->read(0).error().code, ErrorCode::device_lost);
  EXPECT_TRUE(provider_->read(1));
  EXPECT_EQ(provider_->read(7).error().code, ErrorCode::device_lost);
}

class NvmlSlices : public NvmlProvider {
 protected:
  void SetUp() override {
    // One device without MIG, and one with two slices and an empty slot between them.
    ASSERT_TRUE(simgpu::create_state_file(path_, {{.total = 900}, {.total = 1000, .slices = {600, 0, 300}}}));
    setenv("MGPU_SIMGPU", path_.c_str(), 1);
    auto opened = open_nvml(MGPU_SIMGPU_LIBRARY);
    ASSERT_TRUE(opened) << opened.error().detail;
    provider_ = std::move(*opened);
  }
};

TEST_F(NvmlSlices, ReplaceTheirDevice) {
  const auto& devices = provider_->devices();
  ASSERT_EQ(devices.size(), 3U);
  EXPECT_EQ(devices[0].index, 0U);
  EXPECT_EQ(devices[1].index, 2U);
  EXPECT_EQ(devices[2].index, 3U);
  EXPECT_EQ(devices[1].total, Bytes{600});
  EXPECT_EQ(devices[2].total, Bytes{300});
  EXPECT_EQ(devices[1].name, "Simulated GPU MIG slice");
  EXPECT_TRUE(devices[1].uuid.starts_with("MIG-")) << devices[1].uuid;
  EXPECT_NE(devices[1].uuid, devices[2].uuid);
  EXPECT_EQ(provider_->read(1).error().code, ErrorCode::device_lost);  // the sliced device is not listed
}

TEST_F(NvmlSlices, HaveTheirOwnMemoryAndProcessesButNoUtilisation) {
  EXPECT_EQ(simgpu::allocate(*file().device(2), simgpu::this_process(), 200), 0);
  EXPECT_EQ(provider_->read(2)->used, Bytes{200});
  EXPECT_EQ(provider_->read(2)->processes.at(0).bytes, Bytes{200});
  EXPECT_EQ(provider_->read(3)->used, Bytes{0});
  EXPECT_EQ(provider_->read_telemetry(2).utilisation_percent, std::nullopt);
  EXPECT_TRUE(provider_->read_telemetry(0).utilisation_percent);
}

TEST_F(NvmlSlices, AreLostWithTheirDevice) {
  file().device(1)->faults.lost = 1;
  EXPECT_EQ(provider_->read(3).error().code, ErrorCode::device_lost);
  EXPECT_TRUE(provider_->read(0));
}

TEST(OpenNvml, TheErrorNamesTheLibrary) {
  const auto opened = open_nvml("libno-such-driver.so.1");
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
  EXPECT_NE(opened.error().detail.find("libno-such-driver.so.1"), std::string::npos);
}

}  // namespace
}  // namespace mgpu::gpu
