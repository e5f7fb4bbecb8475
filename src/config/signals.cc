#include "config/signals.h"

#include <csignal>
#include <utility>

namespace mgpu::config {
namespace {

constexpr std::pair<std::string_view, int> kSignals[] = {
    {"SIGTERM", SIGTERM}, {"SIGINT", SIGINT},   {"SIGQUIT", SIGQUIT}, {"SIGHUP", SIGHUP},
    {"SIGUSR1", SIGUSR1}, {"SIGUSR2", SIGUSR2}, {"SIGABRT", SIGABRT}, {"SIGKILL", SIGKILL}};

}  // namespace

std::optional<int> signal_number(std::string_view name) {
  for (const auto& [known, number] : kSignals)
    if (known == name) return number;
  return std::nullopt;
}

std::vector<std::string> signal_names() {
  std::vector<std::string> names;
  for (const auto& [name, number] : kSignals) names.emplace_back(name);
  return names;
}

}  // namespace mgpu::config
