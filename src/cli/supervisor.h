// A process between `mgpu run` and its command, so that the command's whole tree ends when it should, even if
// `mgpu run` is killed: whoever shall find orphans must be above them, and must not be the one who is killed.
//
// It is a child subreaper in a session of its own (a signal to the process group of the command does not
// reach it) and keeps what was open when it was forked, the lease's connection too: the turn comes back when
// the tree has ended, and not before. It speaks with `mgpu run` over a pair of sockets; an end of file there
// is a death.
#pragma once

#include <functional>
#include <optional>

#include <signal.h>
#include <sys/types.h>

#include "cli/process_tree.h"

namespace mgpu::cli {

// Time to save what it has, before force.
inline constexpr TerminationLimits kTreeTermination{.grace = std::chrono::seconds(10),
                                                    .limit = std::chrono::seconds(20)};

// What it tells. `ended` is the last.
struct SupervisorReport {
  enum class Kind : int { not_started, ended } kind = Kind::ended;
  int value = 0;               // errno; the wait status
  bool has_survivors = false;  // ended: some of its processes could not be ended
};

class Supervisor {
 public:
  // Forks it, and it the command: `become` execs in the process of the command, or returns errno. `mask`: the
  // command's. None: errno tells why.
  static std::optional<Supervisor> fork(const sigset_t& mask, const std::function<int()>& exec_command);

  Supervisor(Supervisor&& other) noexcept;
  Supervisor& operator=(Supervisor&&) = delete;
  ~Supervisor();

  int descriptor() const { return channel_; }  // readable: hear()

  // A signal that reached us: passed on to the command, or only noted (it has it already).
  void send_signal(int signal, bool forward) const;

  // None: it was killed itself. Waits.
  std::optional<SupervisorReport> receive_report() const;

  // Its own wait status, once it has ended.
  int reap();

 private:
  Supervisor(pid_t pid, int channel) : pid_(pid), channel_(channel) {}
  pid_t pid_;
  int channel_;
};

}  // namespace mgpu::cli
