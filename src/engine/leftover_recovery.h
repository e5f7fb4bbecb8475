// What an earlier life of the daemon left running, after a kill -9 or a crash: adopted or ended, before the
// first request. Nothing may be loaded beside a copy that the daemon does not know of.
//
// A process that belongs to another daemon which lives is left alone. The files of the store may have been
// deleted, copied or moved under that daemon, so the owner's own process is looked for.
//
// A process is known by pid, start time and boot, as they were recorded; what belongs to it besides (a child
// whose parent died, a process that was started the moment before the daemon died) by a variable that all of
// them inherit. Adopted is what was settled, runs under the settings of today, and is healthy.
//
// Thread rule: the strand.
#pragma once

#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "config/live_config.h"
#include "engine/application_set.h"
#include "engine/core_loop.h"
#include "engine/store_recorder.h"
#include "engine/target_resolver.h"
#include "engine/task_spawner.h"
#include "gpu/provider.h"

namespace mgpu::engine {

class LeftoverRecovery {
 public:
  // What it works with; all of it must outlive it.
  struct Parts {
    boost::asio::io_context& io;
    CoreLoop& loop;
    TaskSpawner& tasks;
    ApplicationSet& applications;
    TargetResolver& targets;
    StoreRecorder& recorder;
    const config::LiveConfig& config;
    const std::vector<gpu::DeviceInfo>& devices;  // by DeviceId
  };
  explicit LeftoverRecovery(Parts parts) : parts_(parts) {}

  // REQUIRES: the core was not asked for anything yet.
  boost::asio::awaitable<void> run();

 private:
  boost::asio::awaitable<Result<void>> adopt_or_end(store::ProcessRow row);
  bool skip_if_owned(const store::ProcessRow& row);
  void end_strays();

  const Parts parts_;
};

}  // namespace mgpu::engine
