#include "gpu/pid_translator.h"

#include <gtest/gtest.h>

#include "gpu/file_tree.h"

namespace mgpu::gpu {
namespace {

// A server in a container (4711 on the host, 7 inside), a kernel thread with pid 7, and two containers that
// both have a process 9.
constexpr const char* kHostFiles = R"(== proc/7/stat
7 (kworker/0:1) I 2 0 0 0 -1 69238880 0 0 0 0 0 0 0 0 20 0 1 0 33 0 0
== proc/7/status
Name:	kworker/0:1
NSpid:	7
== proc/4711/stat
4711 (python3) S 4650 4711 4650 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5000 0 0
== proc/4711/status
Name:	python3
NSpid:	4711	7
== proc/4800/stat
4800 (node) S 4650 4800 4650 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5000 0 0
== proc/4800/status
Name:	node
NSpid:	4800	9
== proc/4900/stat
4900 (node) S 4651 4900 4651 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 5000 0 0
== proc/4900/status
Name:	node
NSpid:	4900	9
)";

int translate_pid(int pid, const FileTree& tree) {
  PidTranslator pids(tree.proc());
  std::vector<ProcessUsage> processes{{.pid = pid, .bytes = Bytes{300}}};
  pids.translate(processes);
  return processes.front().pid;
}

TEST(PidTranslator, ReadsTheInnermostPid) {
  EXPECT_EQ(parse_namespace_pid("Name:\tpython3\nNSpid:\t4711\t12\t7\nThreads:\t1\n"), 7);
  EXPECT_EQ(parse_namespace_pid("Name:\tbash\nNSpid:\t4711\n"), std::nullopt);
  EXPECT_EQ(parse_namespace_pid(""), std::nullopt);
}

TEST(PidTranslator, APidOfAKernelThreadIsTranslated) {
  const FileTree tree(kHostFiles);
  EXPECT_EQ(translate_pid(7, tree), 4711);
}

TEST(PidTranslator, AHostPidStays) {
  const FileTree tree(kHostFiles);
  EXPECT_EQ(translate_pid(4711, tree), 4711);
}

TEST(PidTranslator, AnUnknownOrAmbiguousPidStays) {
  const FileTree tree(kHostFiles);
  EXPECT_EQ(translate_pid(9, tree), 9);
  EXPECT_EQ(translate_pid(5, tree), 5);
}

TEST(PidTranslator, ACachedPidIsDroppedWithItsProcess) {
  const FileTree tree(kHostFiles);
  PidTranslator pids(tree.proc());
  std::vector<ProcessUsage> processes{{.pid = 7}};
  pids.translate(processes);
  tree.remove("proc/4711");
  processes = {{.pid = 7}};
  pids.translate(processes);
  EXPECT_EQ(processes.front().pid, 7);
}

}  // namespace
}  // namespace mgpu::gpu
