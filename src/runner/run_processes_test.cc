// Real processes, found through the run's cgroup where one may be made here, and without it.
#include "runner/run_processes.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gpu/process_table.h"
#include "gpu/run_mark.h"
#include "runner/process.h"
#include "runner/runner_fixture.h"

namespace mgpu::runner {
namespace {

using std::chrono::seconds;

bool has_cgroups() {
  const auto cgroup = RunCgroup::create("test-" + std::to_string(getpid()));
  if (cgroup) cgroup->remove();
  return cgroup.has_value();
}

bool is_running(int pid) {
  const auto process = gpu::read_process(pid);
  return process && process->state != 'Z' && process->state != 'X';
}

enum class Containment { cgroup, marks };

// Skipped where no cgroup may be made.
class RunProcessesTest : public RunnerTest, public testing::WithParamInterface<Containment> {
 protected:
  void SetUp() override {
    become_subreaper();
    if (GetParam() == Containment::marks)
      setenv("MGPU_CGROUP", "off", 1);
    else if (!has_cgroups())
      GTEST_SKIP() << "no cgroup v2 tree that may be changed";
  }
  void TearDown() override {
    unsetenv("MGPU_CGROUP");
    for (const int pid : pids_)
      if (is_running(pid)) ADD_FAILURE() << pid << " still runs", ::kill(pid, SIGKILL);
  }

  // Starts a shell script that writes the pid of its worker, and waits for that.
  std::unique_ptr<Process> start(const std::string& script, RunOptions wanted = {}) {
    wanted.log_lines = 20;
    wanted.on_exit = [this](const ExitStatus& status) { exit_status_ = status; };
    auto process =
        Process::start(io_.get_executor(), {.command = {"/bin/sh", "-c", script}}, std::move(wanted));
    EXPECT_TRUE(process) << process.error().detail;
    EXPECT_TRUE(run_until([&] {
      const auto lines = (*process)->log_tail(1);
      if (lines.empty()) return false;
      worker_ = std::atoi(lines.back().c_str());
      return worker_ > 0;
    }));
    pids_ = {worker_};
    return *std::move(process);
  }

  int worker_ = 0;
  std::vector<int> pids_{};
};

TEST_P(RunProcessesTest, StopReachesAWorkerInASessionOfItsOwn) {
  const auto process = start("setsid sh -c 'echo $$; exec sleep 1000' & wait");
  EXPECT_TRUE(await_result(process->stop(seconds(10))));
  EXPECT_FALSE(is_running(worker_));
}

TEST_P(RunProcessesTest, StopReachesAWorkerThatForkedTwice) {
  const auto process = start("(setsid sh -c '(echo $$; exec sleep 1000) & exit' &) ; sleep 1000");
  // `$$` is the middle process here: the worker is looked up by its mark.
  const auto found = [&] { return process->owns_process(process->pid()); };
  EXPECT_TRUE(run_until(found));
  EXPECT_TRUE(await_result(process->stop(seconds(10))));
  EXPECT_FALSE(has_processes_of_run(process->identity().run));
}

TEST_P(RunProcessesTest, AWorkerThatIgnoresSigtermIsKilled) {
  const auto process = start("setsid sh -c 'trap \"\" TERM; echo $$; while :; do sleep 1; done' & wait");
  EXPECT_TRUE(await_result(process->stop(std::chrono::milliseconds(300))));
  EXPECT_FALSE(is_running(worker_));
  EXPECT_FALSE(has_processes_of_run(process->identity().run));
}

TEST_P(RunProcessesTest, AWorkerMayEndByItselfAfterItsMainProcess) {
  const std::string folder = testing::TempDir() + "run-" + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  const auto process = start("setsid sh -c 'trap \"touch " + folder +
                             "/saved; exit\" TERM; echo $$; while :; do sleep 0.05; done' & wait");
  EXPECT_TRUE(await_result(process->stop(seconds(10))));
  EXPECT_TRUE(std::filesystem::exists(folder + "/saved"));
  std::filesystem::remove_all(folder);
}

TEST_P(RunProcessesTest, ACrashOfTheMainProcessEndsTheWorker) {
  const auto process = start("setsid sh -c 'echo $$; exec sleep 1000' & sleep 0.2; exit 3");
  EXPECT_TRUE(run_until([&] { return exit_status_.has_value() && !is_running(worker_); }));
  EXPECT_EQ(exit_status_->code, 3);
}

TEST_P(RunProcessesTest, ItIsFoundByTheNextStartOfTheDaemon) {
  RunOptions wanted;
  wanted.outlives_daemon = true;
  const auto process = start("setsid sh -c 'echo $$; exec sleep 1000' & wait", std::move(wanted));
  const auto leader = gpu::read_process(process->pid());
  ASSERT_TRUE(leader);
  auto adopted = Process::adopt(io_.get_executor(), {.command = {"sh"}},
                                {.pid = process->pid(), .start_time = leader->start_time}, {.log_lines = 5});
  ASSERT_TRUE(adopted);
  EXPECT_EQ((*adopted)->identity().run, process->identity().run);
  EXPECT_TRUE((*adopted)->owns_process(worker_));
  EXPECT_TRUE(await_result((*adopted)->stop(seconds(10))));
  EXPECT_FALSE(is_running(worker_));
}

TEST_P(RunProcessesTest, AServerLeftInTheBackgroundServesUntilItEnds) {
  const std::string python =
      "import os,socket,sys,time\\n"
      "s=socket.create_server((\"127.0.0.1\",int(sys.argv[1])))\\n"
      "print(os.getpid(),flush=True)\\ntime.sleep(1000)";
  int background = 0;
  RunOptions wanted;
  wanted.url = "http://127.0.0.1:${PORT}";
  wanted.on_background = [&](int pid) { background = pid; };
  const auto process =
      start("printf '" + python + "' > /tmp/bg-$$.py; setsid python3 /tmp/bg-$$.py $PORT & exit 0",
            std::move(wanted));
  EXPECT_TRUE(run_until([&] { return background != 0; }));
  EXPECT_EQ(background, worker_);
  EXPECT_TRUE(process->is_running());
  process->set_ready();
  EXPECT_EQ(process->identity().pid, worker_);

  ::kill(worker_, SIGKILL);

  EXPECT_TRUE(run_until([&] { return exit_status_.has_value(); }));
  EXPECT_FALSE(process->is_running());
  EXPECT_TRUE(await_result(process->stop(seconds(10))));
}

INSTANTIATE_TEST_SUITE_P(Run, RunProcessesTest, testing::Values(Containment::cgroup, Containment::marks),
                         [](const auto& test) {
                           return test.param == Containment::cgroup ? "cgroup" : "marks";
                         });

TEST(RunCgroup, OneThatForkedTwiceAndClearedItsEnvironmentCannotLeave) {
  if (!has_cgroups()) GTEST_SKIP() << "no cgroup v2 tree that may be changed";
  boost::asio::io_context io;
  auto process = Process::start(
      io.get_executor(),
      {.command = {"/bin/sh", "-c", "(env -i setsid sh -c 'sleep 1000 & exit' &); sleep 1000"}}, {});
  ASSERT_TRUE(process);
  const auto cgroup = RunCgroup::find((*process)->pid());
  ASSERT_TRUE(cgroup);
  EXPECT_EQ(cgroup->run_id(), (*process)->identity().run);
  ASSERT_TRUE(run_until(io, [&] { return cgroup->pids().size() == 3; }, seconds(10)));
  const std::vector<int> pids = cgroup->pids();
  process->reset();
  EXPECT_TRUE(run_until(io, [&] { return std::ranges::none_of(pids, is_running); }, seconds(10)));
}

TEST(RunCgroup, ItsFolderIsBelowTheMount) {
  const std::string whole = "30 1 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
  EXPECT_EQ(cgroup_folder(whole, "0::/system.slice/mgpu.service\n"),
            "/sys/fs/cgroup/system.slice/mgpu.service");
  EXPECT_EQ(cgroup_folder(whole, "3:cpu:/\n0::/\n"), "/sys/fs/cgroup");
  const std::string part = "30 1 0:26 /docker/4f1c /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
  EXPECT_EQ(cgroup_folder(part, "0::/docker/4f1c/worker\n"), "/sys/fs/cgroup/worker");
  EXPECT_EQ(cgroup_folder(part, "0::/docker/4f1d\n"), "");
  EXPECT_EQ(cgroup_folder("30 1 0:26 / /sys/fs/cgroup rw - tmpfs none rw\n", "0::/\n"), "");
}

TEST(RunId, TellsTheDaemonAndTheMark) {
  const auto origin = parse_run_id(make_run_id("/var/lib/mgpu/mgpu.db"));
  ASSERT_TRUE(origin);
  EXPECT_EQ(origin->daemon, current_daemon_instance());
  EXPECT_EQ(origin->mark_hash, hash_of_mark("/var/lib/mgpu/mgpu.db"));
  EXPECT_NE(origin->mark_hash, hash_of_mark("/var/lib/mgpu/other.db"));
  EXPECT_EQ(parse_run_id(make_run_id(""))->mark_hash, "0");
  EXPECT_NE(make_run_id(""), make_run_id(""));
  EXPECT_FALSE(parse_run_id(gpu::lease_run_id(4711, 99)));
}

}  // namespace
}  // namespace mgpu::runner
