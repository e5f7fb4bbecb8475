// A process between `mgpu run` and its command, which ends the command's descendants even if `mgpu run` is
// killed: only a living ancestor can find the orphans.
//
// It is a child subreaper in a session of its own, so that signals to the command's process group do not
// reach it. It inherits all open descriptors, the lease's connection too: the turn is given back only after
// all descendants have ended. It is connected to `mgpu run` by a pair of sockets; an end of file there means
// that the other side died.
#pragma once

#include <functional>
#include <optional>

#include <signal.h>
#include <sys/types.h>

#include "cli/process_tree.h"

namespace mgpu::cli {

// The command has `grace` to save its work after SIGTERM.
inline constexpr TerminationLimits kTreeTermination{.grace = std::chrono::seconds(10),
                                                    .limit = std::chrono::seconds(20)};

// What the supervisor sends to `mgpu run`. After either kind it exits.
struct SupervisorReport {
  enum class Kind : int { not_started, ended } kind = Kind::ended;
  int value = 0;               // not_started: errno; ended: the command's wait status
  bool has_survivors = false;  // ended: some descendants could not be ended
};

class Supervisor {
 public:
  // Forks the supervisor, which forks the command. `exec_command` is called in the command's process; it
  // executes the command, or returns errno. `mask`: the signal mask of the command. None: errno has the
  // reason.
  static std::optional<Supervisor> fork(const sigset_t& mask, const std::function<int()>& exec_command);

  Supervisor(Supervisor&& other) noexcept;
  Supervisor& operator=(Supervisor&&) = delete;
  ~Supervisor();

  int descriptor() const { return channel_; }  // readable: receive_report() does not block

  // Reports a signal that `mgpu run` received. `forward`: send it to the command, too; false where the
  // terminal has sent it to the whole process group.
  void send_signal(int signal, bool forward) const;

  // Waits for the report. None: the supervisor was killed.
  std::optional<SupervisorReport> receive_report() const;

  // Waits for the supervisor's end and returns its wait status.
  int reap();

 private:
  Supervisor(pid_t pid, int channel) : pid_(pid), channel_(channel) {}
  pid_t pid_;
  int channel_;
};

}  // namespace mgpu::cli
