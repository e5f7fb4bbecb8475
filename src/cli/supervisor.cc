#include "cli/supervisor.h"

#include <array>
#include <cerrno>
#include <csignal>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/process_tree.h"

namespace mgpu::cli {
namespace {

constexpr int kShellsSignalBase = 128;  // a shell's exit code for a command that a signal ended is above it

struct Told {
  int signal = 0;
  bool pass_on = false;
};

// False: nobody hears it any more.
template <class Message>
bool send_message(int channel, const Message& message) {
  return send(channel, &message, sizeof message, MSG_NOSIGNAL) == sizeof message;
}

template <class Message>
std::optional<Message> receive_message(int channel) {
  Message message{};
  ssize_t got = 0;
  do got = recv(channel, &message, sizeof message, 0);
  while (got < 0 && errno == EINTR);
  return got == sizeof message ? std::optional(message) : std::nullopt;
}

bool readable(int fd) {
  pollfd look{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&look, 1, 0) > 0;
}

// The errno of a failed exec, read when the pipe closes; 0 if the command runs.
int exec_error(int report) {
  int error = 0;
  while (read(report, &error, sizeof error) < 0 && errno == EINTR) {
  }
  close(report);
  return error;
}

struct Command {
  pid_t pid = -1;
  int error = 0;  // why it does not run
};

Command start(const sigset_t& mask, const std::function<int()>& become) {
  std::array<int, 2> report{};
  if (pipe2(report.data(), O_CLOEXEC) != 0) return {.error = errno};
  const pid_t self = getpid();
  const pid_t child = ::fork();
  if (child < 0) return {.error = errno};
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != self) _exit(EXIT_FAILURE);  // it died before the line above
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    const int error = become();
    [[maybe_unused]] const auto written = write(report[1], &error, sizeof error);
    _exit(EXIT_FAILURE);
  }
  close(report[1]);
  return {.pid = child, .error = exec_error(report[0])};
}

class Watch {
 public:
  Watch(pid_t command, int channel) : command_(command), channel_(channel) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    children_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  // Until the command has ended, or whoever waits for it has gone.
  void wait() {
    // Once before the first signal: the command may have ended before we listened.
    for (reap(); !status_ && !alone_; reap()) {
      std::array<pollfd, 2> watched{{{children_, POLLIN, 0}, {channel_, POLLIN, 0}}};
      if (poll(watched.data(), watched.size(), -1) < 0) continue;
      if (signalfd_siginfo ignored{}; watched[0].revents != 0) [[maybe_unused]]
        const auto n = read(children_, &ignored, sizeof ignored);
      if (watched[1].revents != 0) hear();
    }
  }

  // Whether what is left of its tree shall end, too. What a command that ends by itself leaves behind on
  // purpose (an agent, a server in the background) stays.
  bool must_end() const {
    if (alone_ || told_to_end_) return true;
    return WIFSIGNALED(*status_) || WEXITSTATUS(*status_) > kShellsSignalBase;
  }
  int status() const { return status_.value_or(0); }

 private:
  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == command_) status_ = status;
  }

  void hear() {
    const auto told = receive_message<Told>(channel_);
    if (!told) {
      alone_ = true;
      return;
    }
    // It is our child and not reaped yet: the number is its own.
    if (told->pass_on) kill(command_, told->signal);
    // Ctrl-C may be meant for something inside; how the command ends tells.
    if (told->signal == SIGTERM || told->signal == SIGHUP || told->signal == SIGQUIT) told_to_end_ = true;
  }

  pid_t command_;
  int channel_;
  int children_ = -1;
  std::optional<int> status_{};
  bool told_to_end_ = false;
  bool alone_ = false;
};

[[noreturn]] void supervise(int channel, const sigset_t& mask, const std::function<int()>& become) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const Command command = start(mask, become);
  setsid();  // after the command was forked, which stays in its group and at its terminal
  if (command.error != 0) {
    send_message(channel, Report{.what = Report::What::not_started, .value = command.error});
    _exit(EXIT_FAILURE);
  }
  Watch watch(command.pid, channel);
  watch.wait();
  const auto told_again = [channel] { return readable(channel) && receive_message<Told>(channel); };
  const bool all_ended = !watch.must_end() || end_descendants(kTreeEnd, told_again);
  send_message(channel, Report{.value = watch.status(), .left = !all_ended});
  _exit(EXIT_SUCCESS);
}

}  // namespace

std::optional<Supervisor> Supervisor::fork(const sigset_t& mask, const std::function<int()>& become) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) return std::nullopt;
  const pid_t pid = ::fork();
  if (pid == 0) {
    close(pair[0]);
    supervise(pair[1], mask, become);
  }
  const int why = errno;
  close(pair[1]);
  if (pid > 0) return Supervisor(pid, pair[0]);
  close(pair[0]);
  errno = why;
  return std::nullopt;
}

Supervisor::Supervisor(Supervisor&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), channel_(std::exchange(other.channel_, -1)) {}

Supervisor::~Supervisor() {
  if (channel_ >= 0) close(channel_);
}

void Supervisor::tell(int signal, bool pass_on) const {
  send_message(channel_, Told{.signal = signal, .pass_on = pass_on});
}

std::optional<Report> Supervisor::hear() const { return receive_message<Report>(channel_); }

int Supervisor::reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace mgpu::cli
