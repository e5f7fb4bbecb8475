#include "runner/runner.h"

#include <cstring>
#include <utility>

#include <fmt/format.h>

#include "base/assert.h"
#include "runner/container.h"
#include "runner/process.h"
#include "runner/systemd_unit.h"

namespace mgpu::runner {

namespace asio = boost::asio;

std::string to_string(const ExitStatus& status) {
  if (status.signal)
    return fmt::format("was ended by signal {} ({})", *status.signal, strsignal(*status.signal));
  if (status.code) return fmt::format("exited with code {}", *status.code);
  return "ended";
}

asio::awaitable<StartResult> start(asio::any_io_executor executor, const config::ConsumerConfig& config,
                                   RunOptions options) {
  MGPU_ASSERT(!config::is_external(config), "a consumer that is started has a runner");
  if (config.container)
    co_return co_await start_container(executor, config.name, *config.container, std::move(options));
  if (config.systemd) co_return co_await start_systemd_unit(executor, *config.systemd, std::move(options));
  co_return Process::start(executor, *config.process, std::move(options));
}

asio::awaitable<StartResult> find(asio::any_io_executor executor, const config::ConsumerConfig& config,
                                  RunOptions options, std::optional<RecordedProcess> known) {
  if (config.container)
    co_return co_await find_container(executor, config.name, *config.container, std::move(options));
  if (config.systemd) co_return co_await find_systemd_unit(executor, *config.systemd, std::move(options));
  if (!known || !config.process) co_return nullptr;
  co_return Process::adopt(executor, *config.process, *known, std::move(options));
}

}  // namespace mgpu::runner
