// fork and exec; every failure is reported to the parent.
#pragma once

#include "base/result.h"
#include "config/config.h"

namespace mgpu::runner {

struct SpawnedProcess {
  int pid = -1;
  int pidfd = -1;   // readable once it exited; the caller closes it
  int output = -1;  // its stdout and stderr, non-blocking; the caller closes it
};

struct SpawnOptions {
  // The process keeps running if the daemon is killed, to be adopted by the next start (process_recovery.h);
  // otherwise the kernel kills it when the thread that started it ends.
  bool outlives_daemon = false;
  int cgroup = -1;  // RunCgroup::open_to_enter(): the cgroup that it enters, if the kernel permits it
};

// Safe with concurrent threads: between fork and exec the child calls only async-signal-safe functions.
// Error: load_failed.
Result<SpawnedProcess> spawn(const config::ProcessConfig& config, SpawnOptions options);

}  // namespace mgpu::runner
