#include "engine/yielding.h"

#include <algorithm>
#include <cctype>

#include "base/pattern.h"

namespace mgpu::engine {
namespace {

bool is_windows_path(std::string_view command) {
  return command.size() > 3 && std::isalpha(static_cast<unsigned char>(command[0])) && command[1] == ':' &&
         (command[2] == '\\' || command[2] == '/');
}

// The path of the program: up to the first blank, or, for Windows programs, up to the blank after the first
// ".exe".
std::string_view program_path(std::string_view command) {
  if (!is_windows_path(command)) return command.substr(0, command.find(' '));
  constexpr std::string_view kExeSuffix = ".exe";
  const auto equals_ignoring_case = [](char a, char b) {
    return std::tolower(static_cast<unsigned char>(a)) == b;
  };
  const auto found = std::ranges::search(command, kExeSuffix, equals_ignoring_case);
  if (found.empty()) return command.substr(0, command.find(' '));
  return command.substr(0, static_cast<std::size_t>(found.end() - command.begin()));
}

}  // namespace

std::string_view program_name(std::string_view command) {
  const std::string_view path = program_path(command);
  return path.substr(path.find_last_of("/\\") + 1);  // npos + 1 is 0: no folder
}

std::optional<gpu::ProcessUsage> find_yield_process(std::span<const std::string> patterns,
                                                    std::span<const gpu::ProcessUsage> foreign) {
  const auto found = std::ranges::find_if(foreign, [&](const gpu::ProcessUsage& use) {
    return matches_any_pattern(patterns, std::string(program_name(use.command)));
  });
  if (found == foreign.end()) return std::nullopt;
  return *found;
}

}  // namespace mgpu::engine
