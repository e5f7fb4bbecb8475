#include "cli/config_command.h"

#include <filesystem>

#include <fmt/format.h>

#include "cli/exit_codes.h"
#include "config/config.h"

namespace mgpu::cli {
namespace {

int complain(const config::Parsed& parsed) {
  for (const config::Complaint& complaint : parsed.complaints)
    fmt::print(stderr, "{}\n", to_string(complaint));
  return parsed.complaints.empty() ? kOk : kUsage;
}

}  // namespace

std::string config_path(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code ignored;
  return std::filesystem::exists("mgpu.yaml", ignored) ? "mgpu.yaml" : "/etc/mgpu/mgpu.yaml";
}

int check_config(const Options& options) {
  const std::string path = config_path(options.serve.config);
  const config::Parsed parsed = config::parse_file(path);
  if (const int code = complain(parsed); code != kOk) return code;
  fmt::print("{}: good, {} consumers\n", path, parsed.config.consumers.size());
  return kOk;
}

int show_config(const Options& options) {
  const config::Parsed parsed = config::parse_file(config_path(options.serve.config));
  if (const int code = complain(parsed); code != kOk) return code;
  fmt::print("{}", config::to_yaml(parsed.config));
  return kOk;
}

int show_schema(const Options&) {
  fmt::print("{}", config::json_schema());
  return kOk;
}

int show_reference(const Options&) {
  fmt::print("{}", config::reference_page());
  return kOk;
}

}  // namespace mgpu::cli
