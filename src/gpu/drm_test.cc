// Tests the drm provider with the file trees in src/gpu/testdata.
#include "gpu/drm.h"

#include <gtest/gtest.h>

#include "gpu/file_tree.h"

namespace mgpu::gpu {
namespace {

struct DrmFixture {
  explicit DrmFixture(const std::string& name) : tree(FileTree::read_testdata(name)) {
    auto opened = open_drm({.sys = tree.sys(), .proc = tree.proc()});
    EXPECT_TRUE(opened) << opened.error().detail;
    if (opened) provider = std::move(*opened);
  }
  Bytes bytes_of_process(int pid) const {
    for (const ProcessUsage& usage : provider->read(0)->processes)
      if (usage.pid == pid) return *usage.bytes;
    return {};
  }
  FileTree tree;
  std::unique_ptr<Provider> provider{};
};

TEST(Drm, ReadsADiscreteAmdDevice) {
  const DrmFixture machine("amdgpu-discrete");
  ASSERT_EQ(machine.provider->devices().size(), 1U);  // without the integrated GPU
  const DeviceInfo& info = machine.provider->devices()[0];
  EXPECT_EQ(info.name, "AMD GPU 1002:744C");
  EXPECT_EQ(info.uuid, "GPU-8e5ad5ac41da9b6a");
  EXPECT_EQ(info.total, Bytes{25753026560});
  const auto reading = machine.provider->read(0);
  EXPECT_EQ(reading->total, info.total);
  EXPECT_EQ(reading->used, kGiB * 13);
  EXPECT_TRUE(reading->lists_processes);
  const Telemetry telemetry = machine.provider->read_telemetry(0);
  EXPECT_EQ(telemetry.utilisation_percent, 37U);
  EXPECT_EQ(telemetry.temperature_c, 54U);
  EXPECT_EQ(telemetry.power_w, 121.0);
}

TEST(Drm, CountsAClientOnceAcrossFilesAndProcesses) {
  const DrmFixture machine("amdgpu-discrete");
  EXPECT_EQ(machine.bytes_of_process(1200), kMiB * 300);         // the resident bytes, not the total
  EXPECT_EQ(machine.bytes_of_process(4210), Bytes{8592031744});  // kfd reports more than fdinfo
  EXPECT_EQ(machine.bytes_of_process(4290), Bytes{0});           // inherited the file
  EXPECT_EQ(machine.bytes_of_process(4200), Bytes{0});           // uses the other device
}

TEST(Drm, ReadsFromKfdWhatFdinfoLacks) {
  EXPECT_EQ(DrmFixture("amdgpu-discrete").bytes_of_process(5300), kGiB * 4);
}

TEST(Drm, AnApuHasVramPlusGtt) {
  const DrmFixture machine("amdgpu-apu");
  EXPECT_EQ(machine.provider->devices().at(0).name, "AMD APU 1002:15BF");
  EXPECT_TRUE(machine.provider->devices()[0].host_memory);
  EXPECT_EQ(machine.provider->devices()[0].uuid, "PCI-0000:c1:00.0");
  const auto reading = machine.provider->read(0);
  EXPECT_EQ(reading->total, Bytes{536870912 + 16106127360});
  EXPECT_EQ(reading->used, Bytes{402653184 + 5368709120});
  EXPECT_EQ(machine.bytes_of_process(2100), kMiB * 256 + kGiB * 5);
  EXPECT_EQ(machine.provider->read_telemetry(0).power_w, 9.041);
}

TEST(Drm, SumsUpTheClientsOfXe) {
  const DrmFixture machine("xe");
  const auto reading = machine.provider->read(0);
  EXPECT_EQ(reading->total, kGiB * 12);
  EXPECT_EQ(reading->used, kGiB * 3);
  EXPECT_EQ(machine.bytes_of_process(3100), kGiB * 3);
  EXPECT_EQ(machine.provider->read_telemetry(0).utilisation_percent, std::nullopt);
}

TEST(Drm, ListsAnI915OnlyIfItReportsItsTotal) {
  const DrmFixture machine("i915");
  ASSERT_EQ(machine.provider->devices().size(), 1U);
  EXPECT_EQ(machine.provider->devices()[0].uuid, "PCI-0000:03:00.0");
  EXPECT_EQ(machine.provider->read(0)->total, Bytes{17078157312});
  EXPECT_EQ(machine.bytes_of_process(3100), kMiB * 650);
}

TEST(Drm, ReadsTheKeysOfAnOldKernel) {
  const DrmFixture machine("amdgpu-old-kernel");
  EXPECT_EQ(machine.provider->read(0)->used, kGiB * 3);
  EXPECT_EQ(machine.bytes_of_process(800), kGiB);  // vram alone, without gtt
}

TEST(Drm, ScansAgainWhenTheUsedBytesChange) {
  const DrmFixture machine("amdgpu-old-kernel");
  EXPECT_EQ(machine.bytes_of_process(800), kGiB);
  machine.tree.write("proc/800/fdinfo/10",
                     "drm-driver:\tamdgpu\ndrm-pdev:\t0000:0a:00.0\ndrm-client-id:\t2\n"
                     "drm-memory-vram:\t2097152 KiB\n");
  machine.tree.write("sys/class/drm/card0/device/mem_info_vram_used", "4294967296\n");
  EXPECT_EQ(machine.bytes_of_process(800), kGiB * 2);
}

TEST(Drm, ARemovedDeviceIsLost) {
  const DrmFixture machine("amdgpu-old-kernel");
  machine.tree.remove("sys/class/drm/card0/device");
  EXPECT_EQ(machine.provider->read(0).error().code, ErrorCode::device_lost);
  EXPECT_EQ(machine.provider->read(3).error().code, ErrorCode::device_lost);
}

TEST(Drm, TheErrorListsUnusableCards) {
  const FileTree tree(FileTree::read_testdata("no-device"));
  const auto opened = open_drm({.sys = tree.sys(), .proc = tree.proc()});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ErrorCode::unavailable);
  EXPECT_NE(opened.error().detail.find("card0 (ast), card1 (nvidia)"), std::string::npos)
      << opened.error().detail;
  EXPECT_FALSE(open_drm({.sys = "/nowhere", .proc = "/nowhere"}));
}

}  // namespace
}  // namespace mgpu::gpu
