// `mgpu run` as a process of its own, with a scripted daemon.
#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <sstream>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include "client/fake_daemon.h"

namespace mgpu::cli {
namespace {

using client::FakeDaemon;

const std::string kGrantedEvent = R"({"event":"granted","ticket":7})";

// `mgpu run --url URL words...`, with its output in a file.
class RunProcess {
 public:
  RunProcess(const std::string& url, std::vector<std::string> words) {
    static std::atomic<int> count = 0;
    output_ = std::filesystem::temp_directory_path() /
              ("mgpu_run_test_" + std::to_string(getpid()) + "_" + std::to_string(++count));
    words.insert(words.begin(), {MGPU_PROGRAM, "run", "--url", url});
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    const int out = open(output_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    pid = fork();
    if (pid != 0) {
      close(out);
      return;
    }
    dup2(out, STDOUT_FILENO);
    dup2(out, STDERR_FILENO);
    execv(arguments[0], arguments.data());
    _exit(99);
  }
  ~RunProcess() { std::filesystem::remove(output_); }
  RunProcess(const RunProcess&) = delete;
  RunProcess& operator=(const RunProcess&) = delete;

  // The exit code, or 1000 + the signal that ended it.
  int wait_for_exit() const {
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) ? 1000 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  std::string output() const {
    std::ostringstream text;
    text << std::ifstream(output_).rdbuf();
    return text.str();
  }
  // Waits until the output contains this.
  void wait_for_output(const std::string& words) const {
    while (output().find(words) == std::string::npos)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }

  pid_t pid = 0;

 private:
  std::filesystem::path output_;
};

void grant_lease(FakeDaemon::Caller& caller) {
  caller.read_request();
  caller.begin_stream();
  caller.send_line(kGrantedEvent);
  caller.wait_for_close();
}

TEST(Run, PassesTheExitCodeAndTheTicketOn) {
  FakeDaemon daemon(grant_lease);
  RunProcess run(daemon.url(),
                 {"-c", "train", "--", "sh", "-c", "echo $MGPU_TICKET $MGPU_CONSUMER; exit 42"});
  EXPECT_EQ(run.wait_for_exit(), 42);
  EXPECT_EQ(run.output(), "7 train\n");
}

TEST(Run, SaysWhereItStands) {
  FakeDaemon daemon([](FakeDaemon::Caller& caller) {
    if (caller.read_request().starts_with("GET /v1/line "))
      return caller.send_response(
          "200 OK",
          R"({"line":[{"ticket":5,"consumer":"chat","device":"gpu0","stage":"running"},
                                                   {"ticket":7,"consumer":null,"device":"gpu0","stage":"waiting"}]})");
    caller.begin_stream();
    caller.send_line(R"({"event":"waiting","ticket":7,"place":3})");
    caller.send_line(R"({"event":"waiting","ticket":7,"place":0})");
    caller.send_line(kGrantedEvent);
    caller.wait_for_close();
  });
  RunProcess run(daemon.url(), {"--bytes", "1GiB", "true"});
  EXPECT_EQ(run.wait_for_exit(), 0);
  EXPECT_EQ(run.output(),
            "mgpu: waiting, 3rd in line (chat is running)\n"
            "mgpu: next in line, its device memory is being freed or loaded\n");
}

TEST(Run, ARefusalIs125AndAWaitLimit124) {
  FakeDaemon refusing([](FakeDaemon::Caller& caller) {
    caller.read_request();
    caller.send_response("507 X", R"({"error":{"code":"never_fits","message":"lacks 2.0 GiB"}})");
  });
  RunProcess refused(refusing.url(), {"--bytes", "1GiB", "--", "true"});
  EXPECT_EQ(refused.wait_for_exit(), 125);
  EXPECT_EQ(refused.output(), "mgpu: never_fits: lacks 2.0 GiB\n");
  FakeDaemon slow([](FakeDaemon::Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(R"({"event":"ended","error":{"code":"wait_limit","message":"waited 1 s"}})");
  });
  EXPECT_EQ(RunProcess(slow.url(), {"--bytes", "1GiB", "--wait-limit", "1s", "--", "true"}).wait_for_exit(),
            124);
}

TEST(Run, PassesSignalsOn) {
  FakeDaemon daemon(grant_lease);
  RunProcess run(daemon.url(), {"-c", "x", "--", "sh", "-c",
                                "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"});
  run.wait_for_output("up");
  kill(run.pid, SIGTERM);
  EXPECT_EQ(run.wait_for_exit(), 3);
  EXPECT_EQ(run.output(), "up\nbye\n");
}

TEST(Run, ACommandEndedByASignalIs128AndTheSignal) {
  FakeDaemon daemon(grant_lease);
  EXPECT_EQ(RunProcess(daemon.url(), {"-c", "x", "--", "sh", "-c", "kill -9 $$"}).wait_for_exit(),
            128 + SIGKILL);
}

TEST(Run, KilledItGivesBackAndTheCommandIsAskedToEnd) {
  std::promise<void> given_back;
  FakeDaemon daemon([&](FakeDaemon::Caller& caller) {
    grant_lease(caller);
    given_back.set_value();
  });
  RunProcess run(daemon.url(), {"-c", "x", "--", "sh", "-c",
                                "trap 'echo bye; exit 3' TERM; echo up; while :; do sleep 0.01; done"});
  run.wait_for_output("up");
  kill(run.pid, SIGKILL);
  EXPECT_EQ(run.wait_for_exit(), 1000 + SIGKILL);
  given_back.get_future().get();
  run.wait_for_output("bye");
}

TEST(Run, InterruptedWhileWaitingItLeavesTheLine) {
  std::promise<void> waiting;
  std::promise<void> connection_closed;
  FakeDaemon daemon([&](FakeDaemon::Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    waiting.set_value();
    caller.wait_for_close();
    connection_closed.set_value();
  });
  RunProcess run(daemon.url(), {"-c", "x", "--", "true"});
  waiting.get_future().get();
  kill(run.pid, SIGINT);
  EXPECT_EQ(run.wait_for_exit(), 1000 + SIGINT);
  connection_closed.get_future().get();
}

TEST(Run, GoesOnWithAWarningWhenTheTurnEndsEarly) {
  std::promise<void> may_end;
  FakeDaemon daemon([&](FakeDaemon::Caller& caller) {
    caller.read_request();
    caller.begin_stream();
    caller.send_line(kGrantedEvent);
    may_end.get_future().get();
  });
  RunProcess run(daemon.url(),
                 {"-c", "x", "--", "sh", "-c", "trap 'exit 5' USR1; echo up; while :; do sleep 0.01; done"});
  run.wait_for_output("up");
  may_end.set_value();
  run.wait_for_output("mgpu: the turn ended early");
  kill(run.pid, SIGUSR1);
  EXPECT_EQ(run.wait_for_exit(), 5);
}

}  // namespace
}  // namespace mgpu::cli
