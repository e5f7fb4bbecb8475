// The table of commands, from which the parser, every --help and the completion scripts are made, and the
// entry point of the command line.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "base/result.h"
#include "cli/options.h"

namespace mgpu::cli {

// What src/cli may not include itself; main.cc provides it.
struct CommandBackends {
  // Runs the daemon until a signal ends it; returns the exit code.
  std::function<int(const ServeOptions&)> serve{};
  // Replays a trace; returns the text to print.
  std::function<Result<std::string>(const SimulateOptions&)> simulate{};
};

struct Command {
  std::string name{};
  std::string summary{};
  std::string example{};                                     // printed by --help, with further notes
  std::function<void(CLI::App&, Options&)> add_arguments{};  // empty: no arguments
  std::function<int(const Options&)> run{};                  // empty: a subcommand is required
  std::vector<Command> subcommands{};
  const char* exit_codes = nullptr;  // for --help; null: kExitCodeHelp
};

std::vector<Command> command_table(CommandBackends backends);

// The parser of the whole command line. Parsing sets `options`, and `selected` to the command's `run`.
std::unique_ptr<CLI::App> make_parser(const std::vector<Command>& table, Options& options,
                                      std::function<int(const Options&)>& selected);

// Parses the arguments and runs the command. Returns the exit code; errors go to stderr.
int main(int argc, const char* const* argv, CommandBackends backends);

}  // namespace mgpu::cli
