#include "runner/run_state.h"

#include <boost/asio/post.hpp>
#include <fmt/format.h>

namespace mgpu::runner {

Error survived_kill_error(const std::string& name) {
  return {ErrorCode::eviction_failed,
          fmt::format("{} still exists {} after SIGKILL: it hangs in the kernel; dmesg may say where", name,
                      mgpu::to_string(kKillLimit))};
}

void RunState::record_exit(ExitStatus status, std::vector<std::string> log) {
  exit = std::move(status);
  exit->log = std::move(log);
  changed.notify_all();
  if (auto callback = std::exchange(options.on_exit, {}))
    boost::asio::post(executor, [report = std::move(callback), ended = *exit] { report(ended); });
}

void RunState::close() {
  closed = true;
  options.on_exit = {};
  changed.notify_all();
}

}  // namespace mgpu::runner
