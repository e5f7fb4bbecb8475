#include "cli/config_command.h"

#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/exit_codes.h"
#include "config/config.h"

namespace mgpu::cli {
namespace {

int print_diagnostics(const config::ParseResult& parsed) {
  for (const config::Diagnostic& diagnostic : parsed.diagnostics)
    fmt::print(stderr, "{}\n", to_string(diagnostic));
  return parsed.diagnostics.empty() ? kOk : kUsage;
}

int print_diagnostics_as_json(const std::string& path, const config::ParseResult& parsed) {
  nlohmann::ordered_json diagnostics = nlohmann::ordered_json::array();
  for (const config::Diagnostic& diagnostic : parsed.diagnostics)
    diagnostics.push_back({{"line", diagnostic.line},
                           {"column", diagnostic.column},
                           {"key", diagnostic.key},
                           {"what", diagnostic.message}});
  const nlohmann::ordered_json all{{"file", path},
                                   {"good", diagnostics.empty()},
                                   {"consumers", parsed.config.consumers.size()},
                                   {"complaints", std::move(diagnostics)}};
  fmt::print("{}\n", all.dump(2));
  return parsed.diagnostics.empty() ? kOk : kUsage;
}

int print_missing_config(const Error& error) {
  fmt::print(stderr, "mgpu: {}\n", error.detail);
  return kUsage;
}

}  // namespace

Result<std::string> find_config_path(const std::string& given) {
  if (!given.empty()) return given;
  std::error_code ignored;
  for (const char* path : {"mgpu.yaml", "/etc/mgpu/mgpu.yaml"})
    if (std::filesystem::exists(path, ignored)) return path;
  return fail(
      ErrorCode::invalid_config,
      "no configuration file: neither ./mgpu.yaml nor /etc/mgpu/mgpu.yaml exists; name one with --config");
}

int check_config(const Options& options) {
  const Result<std::string> path = find_config_path(options.serve.config);
  if (!path) return print_missing_config(path.error());
  const config::ParseResult parsed = config::parse_file(*path, config::CheckScope::text_and_files);
  if (options.json) return print_diagnostics_as_json(*path, parsed);
  if (const int code = print_diagnostics(parsed); code != kOk) return code;
  const std::size_t count = parsed.config.consumers.size();
  fmt::print("{}: valid, {} consumer{}\n", *path, count, count == 1 ? "" : "s");
  return kOk;
}

int print_config(const Options& options) {
  const Result<std::string> path = find_config_path(options.serve.config);
  if (!path) return print_missing_config(path.error());
  const config::ParseResult parsed = config::parse_file(*path);
  if (const int code = print_diagnostics(parsed); code != kOk) return code;
  fmt::print("{}", config::to_yaml(parsed.config));
  return kOk;
}

int print_schema(const Options&) {
  fmt::print("{}", config::json_schema());
  return kOk;
}

int print_reference(const Options&) {
  fmt::print("{}", config::reference_page());
  return kOk;
}

}  // namespace mgpu::cli
