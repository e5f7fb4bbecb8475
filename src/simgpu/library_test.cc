// Tests the library as a service uses it: loaded by path, called through its C interface, by several
// processes.
#include <array>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mgpu/simgpu.h"
#include "simgpu/state_file.h"

extern "C" int mgpu_plain_c_out_of_memory(void);

namespace mgpu::simgpu {
namespace {

class SimulatedGpu : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "simgpu_library_" + std::to_string(getpid());
    ASSERT_TRUE(create_state_file(path_, {{.total = 1000}}));
    setenv("MGPU_SIMGPU", path_.c_str(), 1);
    library_ = dlopen(MGPU_SIMGPU_LIBRARY, RTLD_NOW);
    ASSERT_NE(library_, nullptr) << dlerror();
    alloc_ = reinterpret_cast<decltype(alloc_)>(dlsym(library_, "mgpu_simgpu_alloc"));
    free_ = reinterpret_cast<decltype(free_)>(dlsym(library_, "mgpu_simgpu_free"));
  }
  void TearDown() override {
    if (library_) dlclose(library_);
    std::filesystem::remove(path_);
  }

  std::uint64_t current_used() const { return used_bytes(*LockedState::open(path_)->device(0)); }

  // Forks a child that allocates the bytes and then waits. Returns its pid and the code of alloc.
  std::pair<pid_t, int> fork_allocating_child(std::uint64_t bytes) const {
    std::array<int, 2> pipe_fds{};
    EXPECT_EQ(pipe(pipe_fds.data()), 0);
    const pid_t child = fork();
    if (child == 0) {
      const int code = alloc_(0, bytes);
      if (write(pipe_fds[1], &code, sizeof code) != sizeof code) _exit(1);
      for (;;) pause();
    }
    int code = -1;
    EXPECT_EQ(read(pipe_fds[0], &code, sizeof code), static_cast<ssize_t>(sizeof code));
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    return {child, code};
  }

  std::string path_;
  void* library_ = nullptr;
  int (*alloc_)(unsigned, std::uint64_t) = nullptr;
  int (*free_)(unsigned, std::uint64_t) = nullptr;
};

TEST_F(SimulatedGpu, IsSharedByAllProcesses) {
  EXPECT_EQ(alloc_(0, 600), MGPU_SIMGPU_OK);
  const auto [child, code] = fork_allocating_child(500);
  EXPECT_EQ(code, mgpu_plain_c_out_of_memory());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  EXPECT_EQ(LockedState::open(path_)->device(0)->oom_count, 1U);
  EXPECT_EQ(free_(0, 600), MGPU_SIMGPU_OK);
}

TEST_F(SimulatedGpu, FreesTheMemoryOfAZombie) {
  const auto [child, code] = fork_allocating_child(700);
  EXPECT_EQ(code, MGPU_SIMGPU_OK);
  EXPECT_EQ(current_used(), 700U);
  kill(child, SIGKILL);
  siginfo_t info{};
  waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOWAIT);  // dead, and still a zombie
  EXPECT_EQ(current_used(), 0U);
  waitpid(child, nullptr, 0);
}

TEST_F(SimulatedGpu, RecoversTheLockOfAKilledProcess) {
  std::array<int, 2> pipe_fds{};
  ASSERT_EQ(pipe(pipe_fds.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    const auto state = LockedState::open(path_);
    if (write(pipe_fds[1], "x", 1) != 1) _exit(1);
    for (;;) pause();
  }
  char held = 0;
  ASSERT_EQ(read(pipe_fds[0], &held, 1), 1);
  kill(child, SIGKILL);
  EXPECT_EQ(alloc_(0, 1), MGPU_SIMGPU_OK);
  waitpid(child, nullptr, 0);
  close(pipe_fds[0]);
  close(pipe_fds[1]);
}

TEST_F(SimulatedGpu, ReturnsAnErrorForAMissingDeviceOrFile) {
  EXPECT_EQ(alloc_(7, 1), MGPU_SIMGPU_INVALID_DEVICE);
  setenv("MGPU_SIMGPU", "/nonexistent/gpu", 1);
  EXPECT_EQ(alloc_(0, 1), MGPU_SIMGPU_NOT_INITIALIZED);
}

}  // namespace
}  // namespace mgpu::simgpu
