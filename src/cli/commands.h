// The table of commands. The parser, every --help and the completion scripts are made from it.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/options.h"

namespace mgpu::cli {

// What this room may not do itself; main.cc hands it in.
struct CommandBackends {
  // Runs the daemon until it is told to stop; returns the exit code.
  std::function<int(const ServeOptions&)> serve{};
  // What would have been, as text to print.
  std::function<Result<std::string>(const SimulateOptions&)> simulate{};
};

struct Command {
  std::string name{};
  std::string summary{};
  std::string example{};
  std::function<void(CLI::App&, Options&)> add_arguments{};  // none: takes none
  std::function<int(const Options&)> run{};                  // none: only its subcommands do something
  std::vector<Command> subcommands{};
  const char* exit_codes = nullptr;  // none: the usual ones
};

std::vector<Command> command_table(CommandBackends backends);

// The parser of the whole command line; `chosen` is set to what is to be done.
std::unique_ptr<CLI::App> make_parser(const std::vector<Command>& table, Options& options,
                                      std::function<int(const Options&)>& selected);

// The whole program. Errors go to stderr.
int main(int argc, const char* const* argv, CommandBackends backends);

}  // namespace mgpu::cli
