#include "daemon/signals.h"

#include <csignal>

#include <spdlog/spdlog.h>

namespace mgpu::daemon {

void ignore_harmless_signals() {
  for (const int number : {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ}) std::signal(number, SIG_IGN);
}

void SighupLogger::wait_for_sighup() {
  signals_.async_wait([this](boost::system::error_code cancelled, int) {
    if (cancelled) return;
    spdlog::info("SIGHUP: the configuration is read at start only; restart to reload");
    wait_for_sighup();
  });
}

}  // namespace mgpu::daemon
