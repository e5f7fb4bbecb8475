#include "gpu/composite_provider.h"

#include <gtest/gtest.h>

#include "gpu/drm.h"
#include "gpu/file_tree.h"

namespace mgpu::gpu {
namespace {

TEST(CompositeProvider, ListsAllDevicesAndReadsEachFromItsProvider) {
  const FileTree amd(FileTree::read_testdata("amdgpu-old-kernel"));
  const FileTree intel(FileTree::read_testdata("xe"));
  std::vector<std::unique_ptr<Provider>> providers;
  for (const FileTree* tree : {&amd, &intel})
    providers.push_back(std::move(*open_drm({.sys = tree->sys(), .proc = tree->proc()})));
  const auto both = combine_providers(std::move(providers));
  ASSERT_EQ(both->devices().size(), 2U);
  EXPECT_EQ(both->devices()[0].index, 0U);
  EXPECT_EQ(both->devices()[1].index, 1U);
  EXPECT_EQ(both->read(0)->total, both->devices()[0].total);
  EXPECT_EQ(both->read(1)->used, kGiB * 3);
  EXPECT_EQ(both->read(2).error().code, ErrorCode::device_lost);
}

}  // namespace
}  // namespace mgpu::gpu
