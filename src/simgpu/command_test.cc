// Runs the command mgpu-simgpu and checks its output and exit codes.
#include <cstdio>
#include <filesystem>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/wait.h>
#include <unistd.h>

namespace {

struct CommandResult {
  int code = -1;
  std::string out{};
};

CommandResult run_shell(const std::string& line) {
  CommandResult result;
  FILE* pipe = popen(line.c_str(), "r");
  for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) result.out.push_back(static_cast<char>(c));
  result.code = WEXITSTATUS(pclose(pipe));
  return result;
}

class SimgpuCommand : public testing::Test {
 protected:
  void SetUp() override {
    setenv("MGPU_SIMGPU", path_.c_str(), 1);
    ASSERT_EQ(run("create --device 24GiB").code, 0);
  }
  void TearDown() override { std::filesystem::remove(path_); }

  static CommandResult run(const std::string& words) {
    return run_shell(MGPU_SIMGPU_COMMAND " " + words + " 2>&1");
  }
  static nlohmann::json show_device() {
    return nlohmann::json::parse(run("show --json").out).at("devices").at(0);
  }

  std::string path_ = testing::TempDir() + "simgpu_command_" + std::to_string(getpid());
};

TEST_F(SimgpuCommand, HoldsWhileTheCommandRunsAndEndsWithItsCode) {
  const CommandResult held = run("hold 8GiB -- sh -c '" MGPU_SIMGPU_COMMAND " show --json; exit 7'");
  EXPECT_EQ(held.code, 7);
  const auto during = nlohmann::json::parse(held.out).at("devices").at(0);
  EXPECT_EQ(during.at("used"), 8ULL << 30);
  EXPECT_NE(during.at("processes").at(0).at("command").get<std::string>().find("hold 8GiB"),
            std::string::npos);
  EXPECT_EQ(show_device().at("used"), 0);
}

TEST_F(SimgpuCommand, HoldingMoreThanTheDeviceHasFails) {
  EXPECT_EQ(run("hold 25GiB -- true").code, 3);
  EXPECT_EQ(show_device().at("oom_count"), 1);
}

TEST_F(SimgpuCommand, SwitchesFaultsOnAndOffAgain) {
  EXPECT_EQ(
      run("fault --leak 0.5 --slow-free 1s --foreign 1GiB --misread -2GiB --lost --hide-processes --list "
          "empty")
          .code,
      0);
  EXPECT_EQ(show_device().at("faults"), (nlohmann::json{{"leak", 0.5},
                                                        {"slow_free_ms", 1000},
                                                        {"foreign", 1ULL << 30},
                                                        {"misread", -(2LL << 30)},
                                                        {"lost", true},
                                                        {"hide_processes", true},
                                                        {"list", "empty"}}));
  EXPECT_EQ(run("fault clear").code, 0);
  EXPECT_TRUE(show_device().at("faults").empty());
}

TEST_F(SimgpuCommand, SlicesGetIndicesAfterTheDevices) {
  EXPECT_EQ(run("create --force --device 24GiB --device 8GiB --mig 0=12GiB,-,6GiB").code, 0);
  const auto devices = nlohmann::json::parse(run("show --json").out).at("devices");
  ASSERT_EQ(devices.size(), 4U);
  EXPECT_FALSE(devices.at(1).contains("slice_of"));
  EXPECT_EQ(devices.at(3).at("slice_of"), 0);
  EXPECT_EQ(devices.at(3).at("total"), 6ULL << 30);
  EXPECT_EQ(run("hold 1GiB --device 2 -- true").code, 0);
  EXPECT_NE(run("hold 1GiB --device 0 -- true").code, 0);  // only its slices can be allocated from
  EXPECT_EQ(run("create --force --device 24GiB --mig 1=12GiB").code, 2);
  EXPECT_EQ(run("create --force --device 24GiB --mig 0=20GiB,10GiB").code, 2);
}

TEST_F(SimgpuCommand, DistinguishesWrongUsageFromFailure) {
  EXPECT_EQ(run("fault --leak 2").code, 2);
  EXPECT_EQ(run("fault --list long").code, 2);
  EXPECT_EQ(run("nonsense").code, 2);
  EXPECT_EQ(run("create --device 1GiB").code, 2);  // the file exists
  EXPECT_EQ(run("show --file /nonexistent").code, 1);
  EXPECT_EQ(run("--help").code, 0);
}

}  // namespace
