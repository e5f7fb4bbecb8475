#include "gpu/fdinfo.h"

#include <gtest/gtest.h>

namespace mgpu::gpu {
namespace {

constexpr const char* kClientLines = "drm-driver:\tamdgpu\ndrm-pdev:\t0000:03:00.0\ndrm-client-id:\t7\n";

Bytes device_bytes(const std::string& regions) { return parse_fdinfo(kClientLines + regions)->device; }

TEST(Fdinfo, ReadsTheClientsId) {
  const auto client = parse_fdinfo(std::string("pos:\t0\nflags:\t02\n") + kClientLines);
  ASSERT_TRUE(client);
  EXPECT_EQ(client->id, (DrmClient::Id{.driver = "amdgpu", .pdev = "0000:03:00.0", .number = 7}));
}

TEST(Fdinfo, PrefersResidentOverMemoryOverTotal) {
  EXPECT_EQ(
      device_bytes("drm-total-vram:\t900 KiB\ndrm-resident-vram:\t700 KiB\ndrm-memory-vram:\t800 KiB\n"),
      kKiB * 700);
  EXPECT_EQ(device_bytes("drm-memory-vram:\t800 KiB\ndrm-total-vram:\t900 KiB\n"), kKiB * 800);
  EXPECT_EQ(device_bytes("drm-total-vram0:\t900 KiB\n"), kKiB * 900);
}

TEST(Fdinfo, SumsUpDeviceRegionsAndHostRegionsSeparately) {
  const auto client =
      parse_fdinfo(std::string(kClientLines) +
                   "drm-resident-vram0: 3 MiB\ndrm-resident-vram1: 2 MiB\n"
                   "drm-resident-gtt: 512\ndrm-resident-system: 9 MiB\ndrm-resident-cpu: 9 MiB\n"
                   "drm-shared-vram0: 1 MiB\namd-evicted-vram: 7 MiB\n");
  EXPECT_EQ(client->device, kMiB * 5);
  EXPECT_EQ(client->host, Bytes{512});
}

TEST(Fdinfo, AClientNeedsDriverDeviceAndId) {
  EXPECT_FALSE(parse_fdinfo("pos:\t0\nflags:\t02\n"));
  EXPECT_FALSE(parse_fdinfo("drm-driver:\tamdgpu\ndrm-pdev:\t0000:03:00.0\n"));
  EXPECT_FALSE(parse_fdinfo("drm-driver:\tpanthor\ndrm-client-id:\t7\n"));
  EXPECT_EQ(device_bytes("drm-resident-vram:\tlots\n"), Bytes{0});
}

}  // namespace
}  // namespace mgpu::gpu
