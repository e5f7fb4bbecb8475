#include "daemon/open_store.h"

#include <cstdlib>
#include <utility>

#include <spdlog/spdlog.h>

namespace mgpu::daemon {
namespace {

constexpr const char* kFileName = "/mgpu.db";
constexpr const char* kNoStore = "none";

std::string env_variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace

std::string store_path(const config::Config& config) {
  if (config.store == kNoStore) return "";
  if (!config.store.empty()) return config.store;
  // systemd separates several folders with colons; the unit's own is the first.
  if (const std::string folders = env_variable("STATE_DIRECTORY"); !folders.empty())
    return folders.substr(0, folders.find(':')) + kFileName;
  if (const std::string folder = env_variable("XDG_STATE_HOME"); !folder.empty())
    return folder + "/mgpu" + kFileName;
  if (const std::string home = env_variable("HOME"); !home.empty())
    return home + "/.local/state/mgpu" + kFileName;
  return "";
}

Result<store::Store::OpenResult> open_store(const config::Config& config) {
  const std::string path = store_path(config);
  if (path.empty()) {
    const char* const warning =
        "no store: STATE_DIRECTORY, XDG_STATE_HOME and HOME are unset; what is learned is lost at exit (set "
        "`store:` to a file)";
    return store::Store::OpenResult{.warning = config.store == kNoStore ? "" : warning};
  }
  auto opened =
      store::Store::open({.path = path,
                          .history_rows = config.limits.history_rows,
                          .on_write_error = [](const std::string& error) { spdlog::error("{}", error); }});
  const bool is_required =
      !config.store.empty() || (!opened && opened.error().code == ErrorCode::invalid_config);
  if (opened || is_required) return opened;
  return store::Store::OpenResult{.warning = opened.error().detail + "; what is learned is lost at exit"};
}

}  // namespace mgpu::daemon
