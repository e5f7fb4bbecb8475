#include "runner/runner.h"

#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "runner/container.h"
#include "runner/process.h"
#include "runner/systemd_unit.h"
#include "runner/termination.h"

namespace mgpu::runner {

namespace asio = boost::asio;

std::string to_string(const ExitStatus& status) {
  if (status.signal)
    return fmt::format("was ended by signal {} ({})", *status.signal, strsignal(*status.signal));
  if (status.code) return fmt::format("exited with code {}", *status.code);
  return "ended";
}

Error survived_kill_error(const std::string& who) {
  return {ErrorCode::eviction_failed,
          fmt::format("{} lives on {} after SIGKILL: it hangs in the kernel, see dmesg", who,
                      mgpu::to_string(kKillLimit))};
}

asio::awaitable<StartResult> start(asio::any_io_executor executor, const config::ConsumerConfig& config,
                                   RunOptions options) {
  MGPU_ASSERT(!config::is_external(config), "who is started has a runner");
  if (config.container)
    co_return co_await Container::start(executor, config.name, *config.container, std::move(options));
  if (config.systemd) co_return co_await SystemdUnit::start(executor, *config.systemd, std::move(options));
  co_return Process::start(executor, *config.process, std::move(options));
}

asio::awaitable<StartResult> find(asio::any_io_executor executor, const config::ConsumerConfig& config,
                                  RunOptions options, std::optional<RecordedProcess> known) {
  if (config.container)
    co_return co_await Container::find(executor, config.name, *config.container, std::move(options));
  if (config.systemd) co_return co_await SystemdUnit::find(executor, *config.systemd, std::move(options));
  if (!known || !config.process) co_return nullptr;
  co_return Process::adopt(executor, *config.process, *known, std::move(options));
}

}  // namespace mgpu::runner
