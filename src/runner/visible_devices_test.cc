#include "runner/visible_devices.h"

#include <gtest/gtest.h>

namespace mgpu::runner {
namespace {

using Variables = std::map<std::string, std::string>;
using gpu::DeviceInfo;
using gpu::Vendor;

const std::string kFirst = "GPU-51304c70-0000-4000-8000-000000000001";
const std::string kSecond = "GPU-51304c70-0000-4000-8000-000000000002";
const std::vector<DeviceInfo> kNvidia{{.index = 0, .uuid = kFirst}, {.index = 1, .uuid = kSecond}};
const std::vector<DeviceInfo> kAmd{{.index = 0, .uuid = "GPU-1122334455667788", .vendor = Vendor::amd},
                                   {.index = 1, .uuid = "GPU-99aabbccddeeff00", .vendor = Vendor::amd}};
const std::vector<DeviceInfo> kIntel{{.index = 0, .uuid = "PCI-0000:03:00.0", .vendor = Vendor::intel},
                                     {.index = 1, .uuid = "PCI-0000:07:00.0", .vendor = Vendor::intel}};

std::vector<DeviceInfo> second_of(const std::vector<DeviceInfo>& all) { return {all[1]}; }

TEST(BindDevices, EachVendorsLibrariesAreToldInTheirWords) {
  EXPECT_EQ(bind_devices(second_of(kNvidia), kNvidia, {}).variables,
            (Variables{{"CUDA_VISIBLE_DEVICES", kSecond}}));
  EXPECT_EQ(bind_devices(kNvidia, kNvidia, {}).variables,
            (Variables{{"CUDA_VISIBLE_DEVICES", kFirst + "," + kSecond}}));
  EXPECT_EQ(bind_devices(second_of(kAmd), kAmd, {}).variables,
            (Variables{{"ROCR_VISIBLE_DEVICES", "GPU-99aabbccddeeff00"}, {"HIP_VISIBLE_DEVICES", "0"}}));
  EXPECT_EQ(bind_devices(second_of(kIntel), kIntel, {}).variables,
            (Variables{{"ZE_AFFINITY_MASK", "1"},
                       {"ZE_ENABLE_PCI_ID_DEVICE_ORDER", "0"},
                       {"ONEAPI_DEVICE_SELECTOR", "level_zero:0"}}));
}

TEST(BindDevices, ASliceIsNamedByItsUuid) {
  const std::vector<DeviceInfo> slices{{.uuid = "MIG-51304c70-0000-4000-8000-000000000011"},
                                       {.uuid = "MIG-51304c70-0000-4000-8000-000000000012"}};
  EXPECT_EQ(bind_devices(second_of(slices), slices, {}).variables.at("CUDA_VISIBLE_DEVICES"), slices[1].uuid);
}

TEST(BindDevices, WithOneDeviceNothingIsSet) {
  EXPECT_TRUE(bind_devices({{kNvidia[0]}}, {{kNvidia[0]}}, {}).variables.empty());
}

TEST(BindDevices, TheOtherVendorsDevicesAreHidden) {
  const std::vector<DeviceInfo> mixed{kNvidia[0], kAmd[0]};
  const auto nvidia = bind_devices({{mixed[0]}}, mixed, {});
  EXPECT_EQ(nvidia.variables.at("CUDA_VISIBLE_DEVICES"), kFirst);
  EXPECT_EQ(nvidia.variables.at("ROCR_VISIBLE_DEVICES"), "-1");
  EXPECT_NE(bind_devices(mixed, mixed, {}).problem, "") << "no program can be bound to both";
}

TEST(BindDevices, ItsOwnVariablesWinAndAContradictionIsNamed) {
  const auto problem = [](const std::vector<DeviceInfo>& all, const Variables& own) {
    const auto binding = bind_devices(second_of(all), all, own);
    EXPECT_TRUE(binding.variables.empty()) << "the others would change what its own ones mean";
    return binding.problem;
  };
  for (const char* value : {"1", "GPU-51304c70-0000-4000-8000-000000000002", "1,7"})
    EXPECT_EQ(problem(kNvidia, {{"CUDA_VISIBLE_DEVICES", value}}), "") << value;
  for (const char* value : {"0", "0,1", "-1", "", "GPU-51304c70-0000-4000-8000-000000000001"})
    EXPECT_NE(problem(kNvidia, {{"CUDA_VISIBLE_DEVICES", value}}), "") << value;
  EXPECT_NE(problem(kNvidia, {{"CUDA_VISIBLE_DEVICES", "0"}}).find("CUDA_VISIBLE_DEVICES=0"),
            std::string::npos);
  EXPECT_EQ(problem(kAmd, {{"HIP_VISIBLE_DEVICES", "1"}}), "");
  EXPECT_NE(problem(kAmd, {{"ROCR_VISIBLE_DEVICES", "0"}}), "");
  EXPECT_EQ(problem(kIntel, {{"ZE_AFFINITY_MASK", "1.0"}}), "");
  EXPECT_NE(problem(kIntel, {{"ZE_AFFINITY_MASK", "0"}}), "");
}

TEST(BindDevices, ADeviceWithoutANameForItsLibrariesIsAProblem) {
  const std::vector<DeviceInfo> all{kAmd[0],
                                    {.name = "AMD GPU", .uuid = "PCI-0000:07:00.0", .vendor = Vendor::amd}};
  const auto binding = bind_devices(second_of(all), all, {});
  EXPECT_TRUE(binding.variables.empty());
  EXPECT_NE(binding.problem.find("AMD GPU"), std::string::npos);
}

}  // namespace
}  // namespace mgpu::runner
