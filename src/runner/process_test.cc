#include "runner/process.h"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>

#include <boost/asio/post.hpp>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "gpu/process_table.h"
#include "runner/child_reaper.h"
#include "runner/command.h"
#include "runner/log_ring.h"
#include "runner/port.h"
#include "runner/process_recovery.h"
#include "runner/runner_fixture.h"

namespace mgpu::runner {
namespace {

using std::chrono::seconds;

class ProcessTest : public RunnerTest {
 protected:
  ProcessTest() { become_subreaper(); }

  Result<std::unique_ptr<Process>> start(config::ProcessConfig config) {
    return Process::start(io_.get_executor(), config, options());
  }
  Result<std::unique_ptr<Process>> start_shell(const std::string& script) {
    return start({.command = {"/bin/sh", "-c", script}});
  }

  bool wait_for_line(Process& process, const std::string& line) {
    return run_until([&] {
      const auto tail = process.log_tail(5);
      return !tail.empty() && tail.back() == line;
    });
  }
};

bool is_alive(int pid) { return ::kill(pid, 0) == 0; }

TEST_F(ProcessTest, ReportsACrashWithItsCodeAndItsLog) {
  auto process = start_shell("echo loading; echo 'CUDA out of memory' >&2; exit 3");
  ASSERT_TRUE(process);
  ASSERT_TRUE(run_until([&] { return exit_status_.has_value(); }));
  EXPECT_EQ(exit_status_->code, 3);
  EXPECT_EQ(exit_status_->log, (std::vector<std::string>{"loading", "CUDA out of memory"}));
  EXPECT_EQ(to_string(*exit_status_), "exited with code 3");
  EXPECT_FALSE((*process)->is_running());
}

// Pipes and pidfds; the loop opens others of its own at its first use.
std::ptrdiff_t count_child_descriptors() {
  return std::ranges::count_if(std::filesystem::directory_iterator("/proc/self/fd"), [](const auto& entry) {
    std::error_code closed_meanwhile;
    const auto what = std::filesystem::read_symlink(entry.path(), closed_meanwhile).string();
    return what.starts_with("pipe:") || what == "anon_inode:[pidfd]";
  });
}

TEST_F(ProcessTest, OneThatEndedKeepsNoDescriptorOpen) {
  const auto before = count_child_descriptors();
  auto process = start_shell("exit 3");
  ASSERT_TRUE(process);
  EXPECT_EQ(count_child_descriptors(), before + 2);
  EXPECT_TRUE(run_until([&] { return count_child_descriptors() == before; }));
  EXPECT_EQ((*process)->exit_status()->code, 3);
}

TEST_F(ProcessTest, StopLetsAnApplicationEndByItself) {
  auto process = start_shell("trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(process && wait_for_line(**process, "ready"));
  EXPECT_TRUE(await_result((*process)->stop(seconds(10))));
  EXPECT_EQ((*process)->exit_status()->code, 0);
  EXPECT_EQ((*process)->exit_status()->log.back(), "bye");
}

TEST_F(ProcessTest, StopKillsWhatIgnoresItsSignal) {
  auto process = start_shell("trap '' TERM; echo ready; while :; do sleep 0.01; done");
  ASSERT_TRUE(process && wait_for_line(**process, "ready"));
  EXPECT_TRUE(await_result((*process)->stop(std::chrono::milliseconds(50))));
  EXPECT_EQ((*process)->exit_status()->signal, SIGKILL);
}

TEST_F(ProcessTest, KillTakesGrandchildrenAlong) {
  auto process = start_shell("(trap '' TERM; sleep 1000) & echo $!; wait");
  ASSERT_TRUE(process && run_until([&] { return !(*process)->log_tail(1).empty(); }));
  const int grandchild = std::stoi((*process)->log_tail(1).back());
  ASSERT_TRUE(is_alive(grandchild));
  EXPECT_TRUE(await_result((*process)->kill()));
  EXPECT_FALSE(is_alive(grandchild));
  EXPECT_FALSE(is_alive((*process)->pid()));
}

TEST_F(ProcessTest, AnOrphanOfACrashDoesNotLiveOn) {
  auto process = start_shell("sleep 1000 & echo $!; exit 1");
  ASSERT_TRUE(process && run_until([&] { return exit_status_.has_value(); }));
  const int orphan = std::stoi(exit_status_->log.back());
  EXPECT_TRUE(run_until([&] { return !is_alive(orphan); }));
}

TEST_F(ProcessTest, DestroyingItKillsIt) {
  auto process = start_shell("echo ready; sleep 1000");
  ASSERT_TRUE(process && wait_for_line(**process, "ready"));
  const int pid = (*process)->pid();
  process->reset();
  EXPECT_TRUE(run_until([&] { return !is_alive(pid); }));
  EXPECT_FALSE(exit_status_);
}

TEST_F(ProcessTest, SaysWhyItCannotStart) {
  const auto missing = start({.command = {"no-such-command-mgpu"}});
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::load_failed);
  EXPECT_EQ(missing.error().detail, "command not found: \"no-such-command-mgpu\"");
  const auto folder = start({.command = {"/bin/true"}, .cwd = "/no/such/folder"});
  ASSERT_FALSE(folder);
  EXPECT_NE(folder.error().detail.find("/no/such/folder"), std::string::npos);
  const auto forbidden = start({.command = {"/etc/passwd"}});
  ASSERT_FALSE(forbidden);
  EXPECT_NE(forbidden.error().detail.find("Permission denied"), std::string::npos);
}

TEST_F(ProcessTest, GivesEnvCwdAndAChosenPort) {
  auto process = start({.command = {"/bin/sh", "-c", "echo $WORD $PWD $PORT $1", "x", "--port=0"},
                        .env = {{"WORD", "hello"}},
                        .cwd = "/"});
  ASSERT_TRUE(process);
  const auto endpoint = (*process)->endpoint();
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->host, "127.0.0.1");
  const auto number = std::to_string(endpoint->port);
  EXPECT_TRUE(wait_for_line(**process, "hello / " + number + " --port=" + number));
}

TEST_F(ProcessTest, ListensWhereItsUrlSays) {
  RunOptions wanted = options();
  wanted.url = "http://localhost:${PORT}/base";
  auto process = Process::start(io_.get_executor(), {.command = {"/bin/sh", "-c", "echo $PORT"}}, wanted);
  ASSERT_TRUE(process);
  const auto endpoint = (*process)->endpoint();
  ASSERT_TRUE(endpoint);
  EXPECT_EQ(endpoint->host + endpoint->path, "localhost/base");
  EXPECT_TRUE(wait_for_line(**process, std::to_string(endpoint->port)));
}

TEST_F(ProcessTest, SeesTheDevicesThatItWasGiven) {
  const std::vector<std::string> uuids{"GPU-51304c70-0000-4000-8000-000000000001",
                                       "GPU-51304c70-0000-4000-8000-000000000002"};
  RunOptions wanted = options();
  wanted.devices.variables["CUDA_VISIBLE_DEVICES"] = uuids[0] + "," + uuids[1];
  config::ProcessConfig config{.command = {"/bin/sh", "-c", "echo $CUDA_VISIBLE_DEVICES; sleep 60"}};
  auto process = Process::start(io_.get_executor(), config, wanted);
  ASSERT_TRUE(process && wait_for_line(**process, uuids[0] + "," + uuids[1]));
  EXPECT_EQ((*process)->device_uuids(), uuids);
  config.env["CUDA_VISIBLE_DEVICES"] = "1";
  process = Process::start(io_.get_executor(), config, wanted);
  ASSERT_TRUE(process && wait_for_line(**process, "1")) << "its configuration wins";
  EXPECT_TRUE((*process)->device_uuids().empty());
}

TEST_F(ProcessTest, DoesNotStartWhereAnotherProgramHasItsPort) {
  const std::uint16_t port = *find_free_port();
  RunOptions wanted = options();
  wanted.url = "http://127.0.0.1:" + std::to_string(port);
  const std::string listen = "import socket,time; s=socket.create_server(('127.0.0.1'," +
                             std::to_string(port) + ")); print('up',flush=True); time.sleep(60)";
  auto stranger = start({.command = {"python3", "-c", listen}});
  ASSERT_TRUE(stranger && wait_for_line(**stranger, "up"));
  const auto refused = Process::start(io_.get_executor(), {.command = {"/bin/true"}}, wanted);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::load_failed);
  EXPECT_NE(refused.error().detail.find("belongs to pid " + std::to_string((*stranger)->pid())),
            std::string::npos)
      << refused.error().detail;
}

TEST_F(ProcessTest, IsAdoptedByPidAndStartTimeAndEndsAsAWhole) {
  auto first = Process::start(io_.get_executor(), {.command = {"/bin/sh", "-c", "sleep 60 & sleep 60"}},
                              {.outlives_daemon = true});
  ASSERT_TRUE(first);
  const int pid = (*first)->pid();
  const auto facts = gpu::read_process(pid);
  ASSERT_TRUE(facts);

  auto adopted = Process::adopt(io_.get_executor(), {.command = {"sh"}}, {pid, facts->start_time, 8080},
                                {.log_lines = 5});

  ASSERT_TRUE(adopted) << adopted.error().detail;
  EXPECT_TRUE((*adopted)->is_running());
  EXPECT_EQ((*adopted)->endpoint(), (http::Endpoint{.host = "127.0.0.1", .port = 8080}));
  EXPECT_TRUE(await_result((*adopted)->stop(seconds(5))));
  EXPECT_FALSE((*adopted)->is_running());
  EXPECT_TRUE(live_group_members(pid).empty()) << "grandchildren end with it";
}

TEST_F(ProcessTest, AnotherProcessWithItsPidIsNotAdopted) {
  const auto facts = gpu::read_process(getpid());
  ASSERT_TRUE(facts);

  const auto refused = Process::adopt(io_.get_executor(), {}, {getpid(), facts->start_time + 1, {}}, {});

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::not_found);
}

TEST_F(ProcessTest, ItsChildrenAreFoundByItsMark) {
  config::ProcessConfig config{.command = {"/bin/sh", "-c", "setsid sleep 60 & echo up; wait"}};
  config.env[kMarkVariable] = "/tmp/test.db chat";
  auto process = start(config);
  ASSERT_TRUE(process && wait_for_line(**process, "up"));
  const auto count_strays = [] {
    const auto marked = find_marked_processes("/tmp/test.db");
    return std::ranges::count(marked, "chat", &MarkedProcess::consumer);
  };
  ASSERT_TRUE(run_until([&] { return count_strays() == 2; })) << "the shell, and what left its group";
  EXPECT_TRUE(find_marked_processes("/tmp/other.db").empty());

  for (const MarkedProcess& each : find_marked_processes("/tmp/test.db"))
    EXPECT_TRUE(kill_marked_process(each.pid, "/tmp/test.db"));

  EXPECT_TRUE(run_until([&] { return count_strays() == 0; }));
}

// Children that have ended and were not reaped.
std::ptrdiff_t count_zombies() {
  return std::ranges::count_if(std::filesystem::directory_iterator("/proc"), [](const auto& entry) {
    const std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) return false;
    const auto facts = gpu::read_process(std::stoi(name));
    return facts && facts->parent == getpid() && facts->state == 'Z';
  });
}

TEST_F(ProcessTest, AnOrphanInASessionOfItsOwnIsEndedAndReaped) {
  ChildReaper::from_executor(io_.get_executor()).start_reaping_orphans(io_.get_executor());
  auto process = start_shell("setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.1; exit 0");
  ASSERT_TRUE(process && run_until([&] { return exit_status_.has_value(); }));
  EXPECT_EQ(exit_status_->code, 0) << "the reaper leaves a registered child to its owner";
  const int orphan = std::stoi(exit_status_->log.back());
  EXPECT_TRUE(run_until([&] { return !is_alive(orphan) && count_zombies() == 0; }));
}

TEST_F(ProcessTest, ACommandOverItsLimitLeavesNoZombie) {
  ChildReaper::from_executor(io_.get_executor()).start_reaping_orphans(io_.get_executor());
  EXPECT_FALSE(await_result(run_command({"sleep", "1000"}, std::chrono::milliseconds(20))));
  EXPECT_TRUE(run_until([&] { return count_zombies() == 0; }));
  EXPECT_EQ(await_result(run_command({"sh", "-c", "echo fine; exit 3"}, seconds(20)))->exit_code, 3);
}

// Its exit is detected while its last output is still in transit: nothing may be lost or reported twice.
TEST_F(ProcessTest, OutputAtTheExitKeepsItsOrder) {
  for (int moment = 0; moment < 12; ++moment) {
    char folder[] = "/tmp/mgpu-runner-XXXXXX";
    ASSERT_NE(mkdtemp(folder), nullptr);
    const std::string go_file = std::string(folder) + "/go";
    // More than one read takes, so that the next one starts with data available.
    auto process = start_shell("printf '%08191d\\none\\n' 0; until [ -e " + go_file +
                               " ]; do :; done; echo two; exit 3");
    ASSERT_TRUE(process);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));  // so that `one` is in the pipe, most likely
    std::optional<Result<void>> stopped;
    std::function<void(int)> wait_for_moment = [&](int left) {
      if (left > 0) return boost::asio::post(io_, [&, left] { wait_for_moment(left - 1); });
      std::ofstream{go_file};
      while (gpu::read_process((*process)->pid())->state != 'Z') std::this_thread::yield();
      boost::asio::co_spawn(io_, (*process)->stop(seconds(5)),
                            [&](std::exception_ptr, Result<void> result) { stopped = result; });
    };
    wait_for_moment(moment);
    ASSERT_TRUE(run_until([&] { return stopped && (*process)->exit_status(); }));
    const std::vector<std::string>& log = (*process)->exit_status()->log;
    ASSERT_EQ(log.size(), 3U) << moment;
    EXPECT_EQ(log[1] + " " + log[2], "one two") << moment;
    std::filesystem::remove_all(folder);
  }
}

TEST_F(ProcessTest, ALogFileWithoutAReaderDoesNotBlock) {
  char folder[] = "/tmp/mgpu-runner-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const auto path = std::string(folder) + "/pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const std::string script = "head -c 3000000 /dev/zero | tr '\\0' x; echo; echo end";
  auto process = start({.command = {"/bin/sh", "-c", script}, .log_file = path});
  ASSERT_TRUE(process) << process.error().detail;
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_TRUE(run_until([&] { return exit_status_.has_value(); }));
  process->reset();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
  EXPECT_EQ(exit_status_->log.back(), "end");
  EXPECT_TRUE(std::ranges::any_of(exit_status_->log, [](const std::string& line) {
    return line.find("log file takes no more") != std::string::npos;
  }));
  std::filesystem::remove_all(folder);
}

TEST_F(ProcessTest, WritesTheLogFileToo) {
  char folder[] = "/tmp/mgpu-runner-XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const auto path = std::string(folder) + "/log";
  auto process = start({.command = {"/bin/echo", "kept"}, .log_file = path});
  ASSERT_TRUE(process && run_until([&] { return exit_status_.has_value(); }));
  const auto line = [&] {
    std::string text;
    std::getline(std::ifstream(path) >> std::ws, text);
    return text;
  };
  EXPECT_TRUE(run_until([&] { return line() == "kept"; }));
  std::filesystem::remove_all(folder);
}

TEST(LogRing, KeepsOnlyTheNewestLinesAndCutsLongOnes) {
  LogRing ring(2);
  ring.append("one\ntw");
  ring.append("o\nthree\n" + std::string(LogRing::kMaxLine * 2, 'x'));
  EXPECT_EQ(ring.tail(10), (std::vector<std::string>{"two", "three", std::string(LogRing::kMaxLine, 'x')}));
  EXPECT_EQ(ring.tail(1).size(), 1u);
}

TEST(Port, IsFilledInWhereTheCommandLeavesItOpen) {
  const auto command = [](std::vector<std::string> words) {
    return with_port({.command = std::move(words)}, 77).command;
  };
  using Words = std::vector<std::string>;
  EXPECT_EQ(command({"a", "--port", "0"}), (Words{"a", "--port", "77"}));
  EXPECT_EQ(command({"a", "-p", "0", "-n", "0"}), (Words{"a", "-p", "77", "-n", "0"}));
  EXPECT_EQ(command({"a", "127.0.0.1:0", "http://h:${PORT}/"}), (Words{"a", "127.0.0.1:77", "http://h:77/"}));
  EXPECT_FALSE(wants_port({.command = {"a", "--port", "80", "0"}}));
}

}  // namespace
}  // namespace mgpu::runner
