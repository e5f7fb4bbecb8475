#include "daemon/state.h"

#include <cstdlib>
#include <utility>

#include <spdlog/spdlog.h>

namespace mgpu::daemon {
namespace {

constexpr const char* kFile = "/mgpu.db";
constexpr const char* kNone = "none";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::string store_path(const config::Config& config) {
  if (config.store == kNone) return "";
  if (!config.store.empty()) return config.store;
  // systemd may name several folders, the unit's own first.
  if (const std::string folders = variable("STATE_DIRECTORY"); !folders.empty())
    return folders.substr(0, folders.find(':')) + kFile;
  if (const std::string folder = variable("XDG_STATE_HOME"); !folder.empty()) return folder + "/mgpu" + kFile;
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.local/state/mgpu" + kFile;
  return "";
}

Result<store::Store::OpenResult> open_store(const config::Config& config) {
  const std::string path = store_path(config);
  if (path.empty()) {
    const char* const note = "there is no folder for the store: what is learned will be forgotten";
    return store::Store::OpenResult{.warning = config.store == kNone ? "" : note};
  }
  auto opened =
      store::Store::open({.path = path,
                          .history_rows = config.limits.history_rows,
                          .on_write_error = [](const std::string& what) { spdlog::error("{}", what); }});
  const bool needed = !config.store.empty() || (!opened && opened.error().code == ErrorCode::invalid_config);
  if (opened || needed) return opened;
  return store::Store::OpenResult{.warning = opened.error().detail + "; what is learned will be forgotten"};
}

}  // namespace mgpu::daemon
