#include "gpu/cgroup.h"

#include <gtest/gtest.h>

namespace mgpu::gpu {
namespace {

const std::string kContainerId = "4f1c9a0b7d2e8f3a5c6b1d0e9f8a7b6c5d4e3f2a1b0c9d8e7f6a5b4c3d2e1f00";

TEST(Cgroup, ReadsTheUnitOfASystemService) {
  EXPECT_EQ(parse_cgroup("0::/system.slice/ollama.service\n"), CgroupNames{.unit = "ollama.service"});
}

TEST(Cgroup, ReadsTheUnitOfAUserServiceButNotTheUsersSystemd) {
  EXPECT_EQ(parse_cgroup("0::/user.slice/user-1000.slice/user@1000.service/app.slice/comfyui.service\n"),
            CgroupNames{.unit = "comfyui.service"});
  EXPECT_EQ(parse_cgroup("0::/user.slice/user-1000.slice/user@1000.service/app.slice/app-game.scope\n"),
            CgroupNames{});
}

TEST(Cgroup, ReadsContainerIdsOfEveryEngine) {
  for (const std::string& path : {
           "/system.slice/docker-" + kContainerId + ".scope",
           "/docker/" + kContainerId,
           "/machine.slice/libpod-" + kContainerId + ".scope/container",
           "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + kContainerId +
               ".scope/container",
           "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod12ab.slice/cri-containerd-" +
               kContainerId + ".scope",
           "/kubepods.slice/kubepods-pod12ab.slice/crio-" + kContainerId + ".scope",
       })
    EXPECT_EQ(parse_cgroup("0::" + path + "\n"), CgroupNames{.container = kContainerId}) << path;
}

TEST(Cgroup, PodmansMonitorIsNotInTheContainer) {
  EXPECT_EQ(parse_cgroup("0::/machine.slice/libpod-conmon-" + kContainerId + ".scope\n"), CgroupNames{});
}

TEST(Cgroup, AContainerThatAUnitRunsHasBothNames) {
  EXPECT_EQ(parse_cgroup("0::/system.slice/whisper.service/libpod-payload-" + kContainerId + "\n"),
            (CgroupNames{.unit = "whisper.service", .container = kContainerId}));
}

TEST(Cgroup, AUnitInsideAContainerIsIgnored) {
  EXPECT_EQ(parse_cgroup("0::/system.slice/docker-" + kContainerId + ".scope/system.slice/ollama.service\n"),
            CgroupNames{.container = kContainerId});
}

TEST(Cgroup, ReadsTheSlurmJobOfBothCgroupVersions) {
  EXPECT_EQ(parse_cgroup("0::/system.slice/slurmstepd.scope/job_4711/step_0/user/task_0\n").slurm_job,
            "4711");
  // Version 1: one line for each controller; only some of them contain the job.
  EXPECT_EQ(parse_cgroup("9:name=systemd:/system.slice/slurmd.service\n"
                         "4:memory:/slurm/uid_1000/job_4711/step_batch\n"
                         "0::/\n"),
            (CgroupNames{.unit = "slurmd.service", .slurm_job = "4711"}));
  EXPECT_EQ(parse_cgroup("0::/user.slice/job_4711\n").slurm_job, "");
}

TEST(Cgroup, UnknownPathsGiveNoNames) {
  EXPECT_EQ(parse_cgroup(""), CgroupNames{});
  EXPECT_EQ(parse_cgroup("0::/\n"), CgroupNames{});
  EXPECT_EQ(parse_cgroup("0::/../..\n"), CgroupNames{});  // read from another cgroup namespace
  EXPECT_EQ(parse_cgroup("rubbish"), CgroupNames{});
}

}  // namespace
}  // namespace mgpu::gpu
