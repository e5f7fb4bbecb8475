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

constexpr int kSignalExitBase = 128;  // a shell whose command signal N ended exits with 128 + N

struct SignalMessage {
  int signal = 0;
  bool forward = false;
};

// False: the other side has gone.
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

bool is_readable(int fd) {
  pollfd watched{.fd = fd, .events = POLLIN, .revents = 0};
  return poll(&watched, 1, 0) > 0;
}

// The errno of a failed exec, read when the pipe closes; 0 if the command runs.
int read_exec_error(int report_fd) {
  int error = 0;
  while (read(report_fd, &error, sizeof error) < 0 && errno == EINTR) {
  }
  close(report_fd);
  return error;
}

struct SpawnedCommand {
  pid_t pid = -1;
  int error = 0;  // errno where it does not run
};

SpawnedCommand spawn_command(const sigset_t& mask, const std::function<int()>& exec_command) {
  std::array<int, 2> report_pipe{};
  if (pipe2(report_pipe.data(), O_CLOEXEC) != 0) return {.error = errno};
  const pid_t self = getpid();
  const pid_t child = ::fork();
  if (child < 0) return {.error = errno};
  if (child == 0) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != self) _exit(EXIT_FAILURE);  // the parent died before PR_SET_PDEATHSIG was set
    sigprocmask(SIG_SETMASK, &mask, nullptr);
    const int error = exec_command();
    [[maybe_unused]] const auto written = write(report_pipe[1], &error, sizeof error);
    _exit(EXIT_FAILURE);
  }
  close(report_pipe[1]);
  return {.pid = child, .error = read_exec_error(report_pipe[0])};
}

// Waits in the supervisor for the command's end, and for messages of `mgpu run`.
class CommandWatch {
 public:
  CommandWatch(pid_t command, int channel) : command_(command), channel_(channel) {
    sigset_t child;
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, nullptr);
    child_signal_fd_ = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
  }

  // Returns when the command has ended or `mgpu run` has gone.
  void wait_for_end() {
    // Reaps before the first poll: the command may have ended before the signalfd existed.
    for (reap(); !status_ && !parent_gone_; reap()) {
      std::array<pollfd, 2> watched{{{child_signal_fd_, POLLIN, 0}, {channel_, POLLIN, 0}}};
      if (poll(watched.data(), watched.size(), -1) < 0) continue;
      if (signalfd_siginfo ignored{}; watched[0].revents != 0) [[maybe_unused]]
        const auto n = read(child_signal_fd_, &ignored, sizeof ignored);
      if (watched[1].revents != 0) receive_signal();
    }
  }

  // Whether the command's descendants must be ended. Those of a command that exited by itself stay: they may
  // be meant to (an agent, a server in the background).
  bool must_end_tree() const {
    if (parent_gone_ || end_requested_) return true;
    return WIFSIGNALED(*status_) || WEXITSTATUS(*status_) > kSignalExitBase;
  }
  int status() const { return status_.value_or(0); }

 private:
  void reap() {
    int status = 0;
    for (pid_t pid = 0; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
      if (pid == command_) status_ = status;
  }

  void receive_signal() {
    const auto message = receive_message<SignalMessage>(channel_);
    if (!message) {
      parent_gone_ = true;
      return;
    }
    // The command is not reaped yet, so its pid can't belong to another process.
    if (message->forward) kill(command_, message->signal);
    // SIGINT (Ctrl-C) may be meant for a program inside the command: the command's own end decides.
    if (message->signal == SIGTERM || message->signal == SIGHUP || message->signal == SIGQUIT)
      end_requested_ = true;
  }

  pid_t command_;
  int channel_;
  int child_signal_fd_ = -1;
  std::optional<int> status_{};
  bool end_requested_ = false;
  bool parent_gone_ = false;
};

[[noreturn]] void supervise(int channel, const sigset_t& mask, const std::function<int()>& exec_command) {
  prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
  const SpawnedCommand command = spawn_command(mask, exec_command);
  setsid();  // after the fork: the command keeps its process group and terminal
  if (command.error != 0) {
    send_message(channel,
                 SupervisorReport{.kind = SupervisorReport::Kind::not_started, .value = command.error});
    _exit(EXIT_FAILURE);
  }
  CommandWatch watch(command.pid, channel);
  watch.wait_for_end();
  const auto signalled_again = [channel] {
    return is_readable(channel) && receive_message<SignalMessage>(channel);
  };
  const bool all_ended = !watch.must_end_tree() || terminate_descendants(kTreeTermination, signalled_again);
  send_message(channel, SupervisorReport{.value = watch.status(), .has_survivors = !all_ended});
  _exit(EXIT_SUCCESS);
}

}  // namespace

std::optional<Supervisor> Supervisor::fork(const sigset_t& mask, const std::function<int()>& exec_command) {
  std::array<int, 2> pair{};
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair.data()) != 0) return std::nullopt;
  const pid_t pid = ::fork();
  if (pid == 0) {
    close(pair[0]);
    supervise(pair[1], mask, exec_command);
  }
  const int fork_error = errno;
  close(pair[1]);
  if (pid > 0) return Supervisor(pid, pair[0]);
  close(pair[0]);
  errno = fork_error;
  return std::nullopt;
}

Supervisor::Supervisor(Supervisor&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)), channel_(std::exchange(other.channel_, -1)) {}

Supervisor::~Supervisor() {
  if (channel_ >= 0) close(channel_);
}

void Supervisor::send_signal(int signal, bool forward) const {
  send_message(channel_, SignalMessage{.signal = signal, .forward = forward});
}

std::optional<SupervisorReport> Supervisor::receive_report() const {
  return receive_message<SupervisorReport>(channel_);
}

int Supervisor::reap() {
  int status = 0;
  while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

}  // namespace mgpu::cli
