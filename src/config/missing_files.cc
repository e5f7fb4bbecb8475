#include "config/missing_files.h"

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <system_error>

#include <unistd.h>

namespace mgpu::config {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

bool is_program(const fs::path& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored) && access(path.c_str(), X_OK) == 0;
}

// Resolves the command as the runner will: a path against the working directory, a bare name in PATH.
std::optional<std::string> command_error(const ProcessConfig& process) {
  const std::string& command = process.command.front();
  if (command.contains('/')) {
    const fs::path path = fs::path(process.cwd) / command;  // an absolute command stays as it is
    std::error_code ignored;
    if (is_program(path)) return std::nullopt;
    return "\"" + path.string() +
           (fs::exists(path, ignored) ? "\" is not an executable file" : "\" does not exist");
  }
  const auto configured_path = process.env.find("PATH");
  const char* inherited_path = std::getenv("PATH");
  const std::string search_path = configured_path != process.env.end() ? configured_path->second
                                  : inherited_path != nullptr          ? inherited_path
                                                                       : "/usr/bin:/bin";
  for (std::size_t from = 0; from <= search_path.size();) {
    const std::size_t to = std::min(search_path.find(':', from), search_path.size());
    if (is_program(fs::path(search_path.substr(from, to - from)) / command)) return std::nullopt;
    from = to + 1;
  }
  return "no program \"" + command + "\" in PATH (" + search_path + ")";
}

}  // namespace

std::string missing_key_file(const ServiceConfig& service) {
  std::error_code ignored;
  if (service.api_key_file.empty() || fs::is_regular_file(service.api_key_file, ignored)) return {};
  return "there is no file \"" + service.api_key_file + "\"";
}

std::vector<MissingFile> missing_files(const ProcessConfig& process) {
  std::vector<MissingFile> missing;
  const bool cwd_exists = process.cwd.empty() || is_folder(process.cwd);
  if (!cwd_exists) missing.push_back({"cwd", "there is no folder \"" + process.cwd + "\""});
  if (cwd_exists && !process.command.empty())
    if (auto error = command_error(process)) missing.push_back({"command", std::move(*error)});
  const fs::path logs = fs::path(process.log_file).parent_path();
  if (!logs.empty() && !is_folder(logs))
    missing.push_back({"log_file", "there is no folder \"" + logs.string() + "\" for it"});
  else if (!process.log_file.empty() && is_folder(process.log_file))
    missing.push_back(
        {"log_file", "\"" + process.log_file + "\" is a folder: write the name of a file in it"});
  return missing;
}

}  // namespace mgpu::config
