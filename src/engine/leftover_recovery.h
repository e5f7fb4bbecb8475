// Recovers the processes that an earlier start of the daemon left running after SIGKILL or a crash: adopts or
// ends them before the first request. Otherwise a second copy would be loaded beside an unknown one.
//
// A process that belongs to another running daemon is left alone. The store's files may have been deleted,
// copied or moved while that daemon runs, so the owner is found by its process, not by the files.
//
// A recorded process is identified by pid, start time and boot id; its other processes (children whose parent
// has ended, processes started just before the crash) by an environment variable that all of them inherit. A
// process is adopted if its state was settled, its settings are unchanged, and it is healthy.
//
// Thread rule: the strand.
#pragma once

#include <string>
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
#include "runner/process_recovery.h"

namespace mgpu::engine {

class LeftoverRecovery {
 public:
  // The parts that it uses; all must outlive it.
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

  // REQUIRES: no event was dispatched to the core yet.
  boost::asio::awaitable<void> run();

 private:
  boost::asio::awaitable<Result<void>> adopt_or_end(store::ProcessRow row);
  bool skip_if_owned(const store::ProcessRow& row);
  void end_strays();
  void end_stray_cgroups(const std::string& mark);
  bool is_adopted(const runner::MarkedProcess& stray) const;
  bool is_adopted(const std::string& run_id) const;
  bool report_living_owner(const runner::MarkedProcess& stray);  // whether it has one
  void report_ended(const runner::MarkedProcess& stray);

  const Parts parts_;
};

}  // namespace mgpu::engine
