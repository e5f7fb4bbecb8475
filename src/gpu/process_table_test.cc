#include "gpu/process_table.h"

#include <array>

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gpu/file_tree.h"

namespace mgpu::gpu {
namespace {

TEST(ProcessTable, ParsesACommandWithParentheses) {
  const auto process = parse_stat("42 (a) b (c) Z 7 8 9 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 4711 0");
  ASSERT_TRUE(process);
  EXPECT_EQ(process->state, 'Z');
  EXPECT_EQ(process->parent, 7);
  EXPECT_EQ(process->group, 8);
  EXPECT_EQ(process->start_time, 4711U);
  EXPECT_FALSE(parse_stat(""));
}

TEST(ProcessTable, ContainsAProcessAndItsAncestors) {
  const auto table = read_process_table(std::array{getpid()});
  ASSERT_TRUE(table.contains(getpid()));
  EXPECT_EQ(table.at(getpid()).group, getpgrp());
  EXPECT_NE(table.at(getpid()).command.find("gpu_test"), std::string::npos);
  EXPECT_TRUE(table.contains(getppid()));
}

TEST(ProcessTable, ReadsCgroupsAndDetectsKernelThreads) {
  const FileTree tree(R"(== proc/9/stat
9 (kworker/u8:0) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 33 0 0
== proc/4711/stat
4711 (ollama) S 1 4711 4711 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5000 0 0
== proc/4711/cgroup
0::/system.slice/ollama.service
)");
  const auto table = read_process_table(std::array{9, 4711, 12}, tree.proc());
  EXPECT_EQ(table.at(4711).cgroup.unit, "ollama.service");
  EXPECT_FALSE(table.at(4711).kernel_thread);
  EXPECT_TRUE(table.at(9).kernel_thread);
  EXPECT_EQ(table.at(9).cgroup, CgroupNames{});
  EXPECT_FALSE(table.contains(12));
}

TEST(ListenerPid, FindsTheListeningProcess) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(fd, 1), 0);
  ASSERT_EQ(getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size), 0);
  EXPECT_EQ(find_listener_pid(ntohs(address.sin_port)), getpid());
  close(fd);
  EXPECT_EQ(find_listener_pid(ntohs(address.sin_port)), std::nullopt);
}

}  // namespace
}  // namespace mgpu::gpu
