#include "gpu/run_mark.h"

#include <gtest/gtest.h>

#include "gpu/file_tree.h"
#include "gpu/tcp_sockets.h"

namespace mgpu::gpu {
namespace {

using std::string_literals::operator""s;

TEST(RunMark, TheInnermostCgroupOfARunCounts) {
  EXPECT_EQ(run_id_of_cgroup("0::/mgpu.service/mgpu-run-a-1-2-3\n"), "a-1-2-3");
  EXPECT_EQ(run_id_of_cgroup("1:cpu:/\n0::/mgpu-run-a-1-2-3/mgpu-run-b-4-5-6/workers\n"), "b-4-5-6");
  EXPECT_EQ(run_id_of_cgroup("0::/user.slice/session-3.scope\n"), "");
}

TEST(RunMark, AVariableIsFoundByItsWholeName) {
  EXPECT_EQ(find_in_environment("XMGPU_RUN=no\0MGPU_RUN=x=y\0A=1\0"s, "MGPU_RUN"), "x=y");
  EXPECT_EQ(find_in_environment("MGPU_RUN=first"s, "MGPU_RUN"), "first");
  EXPECT_EQ(find_in_environment("MGPU_RUNS=1\0"s, "MGPU_RUN"), "");
  EXPECT_EQ(find_in_environment("", "MGPU_RUN"), "");
}

TEST(RunMark, OneThatClearedItsEnvironmentKeepsItsCgroup) {
  const FileTree tree(R"(== proc/9/cgroup
0::/mgpu-run-a-1-2-3
== proc/9/environ
HOME=/root
)");
  EXPECT_EQ(read_run_id(9, tree.proc()), "a-1-2-3");
  EXPECT_EQ(read_run_id(10, tree.proc()), "");
}

TEST(TcpSockets, AnyAddressAndTheAddressItselfGetItsConnections) {
  const std::string any_v6 = "00000000000000000000000000000000";
  EXPECT_TRUE(accepts_connections_to("0100007F", "127.0.0.1"));
  EXPECT_TRUE(accepts_connections_to("00000000", "127.0.0.1"));
  EXPECT_TRUE(accepts_connections_to(any_v6, "127.0.0.1"));
  EXPECT_TRUE(accepts_connections_to("0000000000000000FFFF00000100007F", "127.0.0.1"));
  EXPECT_FALSE(accepts_connections_to("0200007F", "127.0.0.1"));
  EXPECT_FALSE(accepts_connections_to("00000000000000000000000001000000", "127.0.0.1"));
  EXPECT_TRUE(accepts_connections_to("00000000000000000000000001000000", "::1"));
  EXPECT_TRUE(accepts_connections_to(any_v6, "::1"));
  EXPECT_FALSE(accepts_connections_to("00000000", "::1"));
  EXPECT_FALSE(accepts_connections_to("00000000", "chat.example"));
}

}  // namespace
}  // namespace mgpu::gpu
