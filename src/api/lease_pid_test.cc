#include "api/lease_pid.h"

#include <csignal>
#include <string>

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mgpu::api {
namespace {

// A connection of this process to itself; the peer as its listener sees it.
class LoopbackConnection {
 public:
  explicit LoopbackConnection(int family = AF_INET) {
    listener_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    client_ = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    listen(listener_, 1);
    sockaddr_storage at{};
    socklen_t size = sizeof at;
    getsockname(listener_, reinterpret_cast<sockaddr*>(&at), &size);
    connect(client_, reinterpret_cast<sockaddr*>(&at), size);
    size = sizeof at;
    getsockname(client_, reinterpret_cast<sockaddr*>(&at), &size);
    peer = family == AF_INET
               ? "127.0.0.1:" + std::to_string(ntohs(reinterpret_cast<sockaddr_in*>(&at)->sin_port))
               : "::1:" + std::to_string(ntohs(reinterpret_cast<sockaddr_in6*>(&at)->sin6_port));
  }
  ~LoopbackConnection() { close(listener_), close(client_); }
  LoopbackConnection(const LoopbackConnection&) = delete;
  LoopbackConnection& operator=(const LoopbackConnection&) = delete;

  std::string peer;

 private:
  int listener_ = -1;
  int client_ = -1;
};

// `tick_backoff`, as a child or, with a session of its own and no parent that we know of, a stranger.
pid_t start_sleep(bool stranger) {
  int pid_pipe[2];
  EXPECT_EQ(pipe2(pid_pipe, O_CLOEXEC), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (stranger) {
      setsid();
      const pid_t between = getpid();
      if (fork() != 0) _exit(0);
      setsid();
      while (getppid() == between) usleep(1000);
    }
    const pid_t self = getpid();
    (void)!write(pid_pipe[1], &self, sizeof self);
    execlp("sleep", "sleep", "100", nullptr);
    _exit(127);
  }
  close(pid_pipe[1]);
  pid_t pid = 0;
  EXPECT_EQ(read(pid_pipe[0], &pid, sizeof pid), static_cast<ssize_t>(sizeof pid));
  close(pid_pipe[0]);
  if (stranger) waitpid(child, nullptr, 0);
  return pid;
}

TEST(LeasePid, TheCallersOwnIsVerified) {
  const LoopbackConnection connection;
  EXPECT_EQ(verified_pid(getpid(), connection.peer), getpid());
  const LoopbackConnection six(AF_INET6);
  EXPECT_EQ(verified_pid(getpid(), six.peer), getpid());
}

TEST(LeasePid, ThatOfAChildAndOfAParentIsVerified) {
  const LoopbackConnection connection;
  const pid_t child = start_sleep(false);
  EXPECT_EQ(verified_pid(child, connection.peer), child);
  EXPECT_EQ(verified_pid(getppid(), connection.peer), getppid());
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST(LeasePid, ThatOfAStrangerIsNot) {
  const LoopbackConnection connection;
  const pid_t stranger = start_sleep(true);
  EXPECT_EQ(verified_pid(stranger, connection.peer), std::nullopt);
  kill(stranger, SIGKILL);
}

TEST(LeasePid, TheFirstProcessAndTheKernelsAreRefused) {
  const LoopbackConnection connection;
  EXPECT_EQ(verified_pid(1, connection.peer), std::nullopt);
  EXPECT_EQ(verified_pid(2, connection.peer), std::nullopt);
}

TEST(LeasePid, APidFromAnotherHostMeansNothingHere) {
  EXPECT_EQ(verified_pid(getpid(), "192.0.2.1:5123"), std::nullopt);
  EXPECT_EQ(verified_pid(getpid(), "2001:db8::1:5123"), std::nullopt);
  EXPECT_EQ(verified_pid(getpid(), "unknown"), std::nullopt);
}

}  // namespace
}  // namespace mgpu::api
