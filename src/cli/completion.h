// Completion scripts for shells, made from the parser, so that they have every command and option.
#pragma once

#include <string>

#include <CLI/CLI.hpp>

namespace mgpu::cli {

std::string bash_completion(const CLI::App& app);
std::string zsh_completion(const CLI::App& app);
std::string fish_completion(const CLI::App& app);

}  // namespace mgpu::cli
