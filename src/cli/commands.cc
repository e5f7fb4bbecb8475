#include "cli/commands.h"

#include <iostream>

#include <fmt/format.h>
#include <unistd.h>

#include "base/time.h"
#include "cli/completion.h"
#include "cli/config_command.h"
#include "cli/daemon_commands.h"
#include "cli/exit_codes.h"
#include "cli/run_command.h"

namespace mgpu::cli {
namespace {

constexpr const char* kConfigHelp = "Configuration file (default: ./mgpu.yaml, then /etc/mgpu/mgpu.yaml)";

// --- arguments of several commands ---

void add_json_flag(CLI::App& app, Options& options) {
  app.add_flag("--json", options.json, "Print the daemon's response as JSON");
}

void add_url_option(CLI::App& app, Options& options) {
  app.add_option("--url", options.url, "URL of the daemon (default: $MGPU_URL, or http://127.0.0.1:8090)");
}

void add_consumer_argument(CLI::App& app, Options& options) {
  app.add_option("consumer", options.consumer, "Name of the consumer, or CONSUMER/AI-MODEL")->required();
}

CLI::Option* add_bytes_option(CLI::App& app, const std::string& name, std::function<void(Bytes)> on_value,
                              const std::string& text) {
  return app
      .add_option_function<std::vector<std::string>>(
          name,
          [on_value](const std::vector<std::string>& values) {
            for (const std::string& value : values) {
              const Result<Bytes> bytes = parse_bytes(value);
              if (!bytes) throw CLI::ValidationError(bytes.error().detail);
              on_value(*bytes);
            }
          },
          text)
      ->type_name("BYTES")
      ->allow_extra_args(false);  // the word after the value belongs to another argument
}

void add_duration_option(CLI::App& app, const std::string& name, std::chrono::milliseconds& value,
                         const std::string& text) {
  app.add_option_function<std::string>(
         name,
         [&value](const std::string& argument) {
           const Result<Duration> parsed = parse_duration(argument);
           if (!parsed) throw CLI::ValidationError(parsed.error().detail);
           value = std::chrono::ceil<std::chrono::milliseconds>(*parsed);
         },
         text)
      ->type_name("DURATION");
}

void add_priority_option(CLI::App& app, Options& options) {
  app.add_option("--priority", options.priority, "Priority class (default: the consumer's)")
      ->check(CLI::IsMember({"realtime", "interactive", "normal", "batch"}));
}

// --- commands ---

Command serve_command(std::function<int(const ServeOptions&)> serve) {
  return {
      .name = "serve",
      .summary = "Run the daemon",
      .example = "mgpu serve --config mgpu.yaml\n  mgpu serve -c mgpu.yaml --simulated 24GiB",
      .add_arguments =
          [](CLI::App& app, Options& options) {
            app.add_option("-c,--config", options.serve.config, kConfigHelp);
            app.add_option("--listen", options.serve.listen,
                           "HOST:PORT to listen on, instead of the configuration's");
            add_bytes_option(
                app, "--simulated", [&options](Bytes bytes) { options.serve.simulated.push_back(bytes); },
                "Simulate a device with this much memory instead of using real devices (may be repeated)");
          },
      .run = [serve](const Options& options) { return serve(options.serve); }};
}

Command run_in_turn_command() {
  return {
      .name = "run",
      .summary = "Wait for the turn, run a command in it, and give the turn back",
      .example =
          "mgpu run --consumer train -- python train.py\n"
          "  mgpu run --bytes 6GiB --wait-limit 10m -- ./render scene.blend\n"
          "  mgpu run -c train --priority batch --user ada -- python train.py\n\n"
          "The turn is given back however mgpu run ends, kill -9 included; the command then gets SIGTERM.\n"
          "If the turn ends early because the daemon stopped, the command continues, with a warning.\n"
          "The environment of the command has MGPU_TICKET, MGPU_CONSUMER and MGPU_URL.",
      .add_arguments =
          [](CLI::App& app, Options& options) {
            auto* consumer =
                app.add_option("-c,--consumer", options.consumer, "Consumer whose turn it takes");
            add_bytes_option(
                app, "--bytes", [&options](Bytes bytes) { options.bytes = bytes; },
                "Reserve this much device memory instead, without a consumer (6GiB)")
                ->excludes(consumer);
            app.add_option("--device", options.device, "Id of the device, with --bytes");
            add_duration_option(app, "--wait-limit", options.wait_limit,
                                "Give up if the turn does not come within this time (30s, 10m)");
            add_duration_option(app, "--deadline", options.deadline,
                                "Fail at once if the command can't start within this time");
            add_priority_option(app, options);
            app.add_option("--user", options.user, "User whose fair share the command counts towards");
            app.add_flag("-q,--quiet", options.quiet, "Do not print the position in the line");
            app.prefix_command();
          },
      .run = run_command,
      .exit_codes = kRunExitCodeHelp};
}

Command line_command() {
  return {
      .name = "line",
      .summary = "Show waiting and running tickets, or cancel one",
      .example = "mgpu line\n  mgpu line cancel 42",
      .add_arguments = add_json_flag,
      .run = print_line,
      .subcommands = {{.name = "cancel",
                       .summary = "Take a waiting ticket out of the line, or end the lease of a running one",
                       .example = "mgpu line cancel 42",
                       .add_arguments =
                           [](CLI::App& app, Options& options) {
                             app.add_option("ticket", options.ticket, "Number of the ticket")->required();
                             add_json_flag(app, options);
                           },
                       .run = cancel_ticket}}};
}

Command footprints_command() {
  return {
      .name = "footprints",
      .summary = "Show memory and load times of each resident, and their source",
      .example = "mgpu footprints\n  mgpu footprints forget chat",
      .add_arguments = add_json_flag,
      .run = print_footprints,
      .subcommands = {{.name = "forget",
                       .summary = "Forget what was learned about a consumer; its declared values apply again",
                       .example = "mgpu footprints forget chat",
                       .add_arguments = add_consumer_argument,
                       .run = forget_footprint}}};
}

Command explain_command() {
  return {.name = "explain",
          .summary = "Explain why a ticket waited, or what a request would wait for now",
          .example = "mgpu explain 42\n  mgpu explain --next chat --priority interactive",
          .add_arguments =
              [](CLI::App& app, Options& options) {
                auto* ticket = app.add_option("ticket", options.ticket, "Number of the ticket");
                auto* next = app.add_option(
                    "--next", options.consumer,
                    "Explain what a request of this CONSUMER or CONSUMER/AI-MODEL would wait for");
                next->excludes(ticket);
                add_priority_option(app, options);
                add_json_flag(app, options);
              },
          .run = [](const Options& options) -> int {
            if (options.ticket != 0 || !options.consumer.empty()) return print_explanation(options);
            fmt::print(stderr, "mgpu explain: give the number of a ticket, or --next CONSUMER\n");
            return kUsage;
          }};
}

Command events_command() {
  return {.name = "events",
          .summary = "Show events: arrivals, grants, loads, evictions",
          .example = "mgpu events --follow\n  mgpu events --json | jq .",
          .add_arguments =
              [](CLI::App& app, Options& options) {
                app.add_flag("-f,--follow", options.follow, "Continue with new events as they happen");
                app.add_flag("--json", options.json, "Print one JSON object per line");
              },
          .run = print_events};
}

int print_simulation(const std::function<Result<std::string>(const SimulateOptions&)>& simulate,
                     const Options& options) {
  SimulateOptions simulate_options = options.simulate;
  const auto path = find_config_path(simulate_options.config);
  if (!path) {
    fmt::print(stderr, "mgpu simulate: {}\n", path.error().detail);
    return kUsage;
  }
  simulate_options.config = *path;
  simulate_options.json = options.json;
  const Result<std::string> text = simulate(simulate_options);
  if (!text) {
    fmt::print(stderr, "mgpu simulate: {}\n", text.error().detail);
    return kUsage;
  }
  fmt::print("{}", *text);
  return kOk;
}

Command simulate_command(std::function<Result<std::string>(const SimulateOptions&)> simulate) {
  return {
      .name = "simulate",
      .summary = "Replay a recorded workload under other policies, settings or devices",
      .example =
          "mgpu simulate --trace day.jsonl --policy fifo,affinity --svg day.svg\n"
          "  mgpu simulate --trace day.csv --device-memory 24GiB --set overtake_limit=5s --set capacity=2\n"
          "  mgpu simulate --trace day.jsonl --set consumers.chat.pinned=true\n\n"
          "The trace is a journal (the output of `mgpu events --json` or of /v1/events), or a CSV file with\n"
          "the columns time,consumer,seconds[,user,priority,flow]; the rows of a flow run in sequence.\n"
          "Each policy is replayed with the configuration as it is, and with all changes of --set and\n"
          "--device-memory together. No daemon is needed.",
      .add_arguments =
          [](CLI::App& app, Options& options) {
            SimulateOptions& simulate_options = options.simulate;
            app.add_option("-c,--config", simulate_options.config, kConfigHelp);
            app.add_option("--trace", simulate_options.trace, "Journal (mgpu events --json) or CSV file")
                ->required();
            app.add_option("--policy", simulate_options.policies,
                           "fifo or affinity, or both: fifo,affinity (default: the configuration's)")
                ->delimiter(',')
                ->allow_extra_args(false);
            app.add_option("--set", simulate_options.settings,
                           "KEY=VALUE to change: a limit, capacity, page_cache or consumers.NAME.KEY (may be "
                           "repeated)")
                ->allow_extra_args(false);
            add_bytes_option(
                app, "--device-memory",
                [&options](Bytes bytes) { options.simulate.device_memory.push_back(bytes); },
                "Memory of a device, instead of the trace's (may be repeated)");
            app.add_option(
                "--footprints", simulate_options.footprints,
                "Output of `mgpu status --json`, or another journal, with footprints and load times");
            app.add_option("--svg", simulate_options.svg, "Write a timeline to this file");
            app.add_flag("--json", options.json, "Print the figures as JSON");
          },
      .run = [simulate = std::move(simulate)](
                 const Options& options) { return print_simulation(simulate, options); }};
}

void add_file_argument(CLI::App& app, Options& options) {
  app.add_option("file,-c,--config", options.serve.config, kConfigHelp);
}

Command config_command() {
  return {.name = "config",
          .summary = "Check or print a configuration, or print its schema and reference",
          .example = "mgpu config check mgpu.yaml",
          .subcommands = {{.name = "check",
                           .summary = "Check a configuration and print all errors",
                           .example = "mgpu config check mgpu.yaml",
                           .add_arguments =
                               [](CLI::App& app, Options& options) {
                                 add_file_argument(app, options);
                                 app.add_flag("--json", options.json, "Print the errors as JSON");
                               },
                           .run = check_config},
                          {.name = "show",
                           .summary = "Print a configuration with all defaults filled in",
                           .example = "mgpu config show mgpu.yaml",
                           .add_arguments = add_file_argument,
                           .run = print_config},
                          {.name = "schema",
                           .summary = "Print the JSON schema, for editors",
                           .example = "mgpu config schema > mgpu.schema.json",
                           .run = print_schema},
                          {.name = "reference",
                           .summary = "Print the reference of all keys (docs/config.md)",
                           .example = "mgpu config reference > docs/config.md",
                           .run = print_reference}}};
}

Command completion_command() {
  return {.name = "completion",
          .summary = "Print a completion script for a shell",
          .example = "source <(mgpu completion bash)",
          .add_arguments =
              [](CLI::App& app, Options& options) {
                app.add_option("shell", options.shell, "bash, zsh or fish")
                    ->required()
                    ->check(CLI::IsMember({"bash", "zsh", "fish"}));
              },
          .run =
              [](const Options& options) {
                Options unused_options;
                std::function<int(const Options&)> unused_selection;
                const std::vector<Command> table = command_table({});
                const auto app = make_parser(table, unused_options, unused_selection);
                const auto completion = options.shell == "bash"  ? bash_completion
                                        : options.shell == "zsh" ? zsh_completion
                                                                 : fish_completion;
                fmt::print("{}", completion(*app));
                return kOk;
              }};
}

Command residency_command(const std::string& verb, const std::string& summary) {
  return {.name = verb,
          .summary = summary,
          .example = "mgpu " + verb + " chat",
          .add_arguments =
              [](CLI::App& app, Options& options) {
                add_consumer_argument(app, options);
                add_json_flag(app, options);
              },
          .run = [verb](const Options& options) { return change_residency(options, verb); }};
}

std::string footer(const Command& command) {
  return fmt::format("Example:\n  {}\n\n{}\n", command.example,
                     command.exit_codes != nullptr ? command.exit_codes : kExitCodeHelp);
}

void add_command(CLI::App& parent, const Command& command, Options& options,
                 std::function<int(const Options&)>& selected) {
  CLI::App* app = parent.add_subcommand(command.name, command.summary);
  app->footer(footer(command));
  add_url_option(*app, options);
  if (command.add_arguments) command.add_arguments(*app, options);
  for (const Command& inner : command.subcommands) add_command(*app, inner, options, selected);
  if (!command.run) app->require_subcommand(1);
  // CLI11 calls the callbacks from the innermost subcommand outwards: the first one that can run is selected.
  app->callback([&selected, run = command.run] {
    if (!selected && run) selected = run;
  });
}

}  // namespace

std::vector<Command> command_table(CommandBackends backends) {
  return {
      serve_command(std::move(backends.serve)),
      {.name = "status",
       .summary = "Show devices, memory by owner, consumers and the line",
       .example = "mgpu status --watch",
       .add_arguments =
           [](CLI::App& app, Options& options) {
             app.add_flag("-w,--watch", options.watch, "Refresh every second, until Ctrl-C");
             add_json_flag(app, options);
           },
       .run = print_status},
      {.name = "memory",
       .summary = "Show the memory of each device by owner",
       .example = "mgpu memory",
       .add_arguments =
           [](CLI::App& app, Options& options) {
             app.add_flag("--json", options.json, "Print JSON; the parts add up to the driver's total");
           },
       .run = print_memory},
      run_in_turn_command(),
      residency_command("load", "Load a consumer into device memory"),
      residency_command("unload", "Unload a consumer from device memory"),
      residency_command("park", "Move a consumer into host memory, from which it loads faster"),
      {.name = "consumers",
       .summary = "Show the consumers and their state",
       .example = "mgpu consumers",
       .add_arguments =
           [](CLI::App& app, Options& options) {
             add_json_flag(app, options);
             app.add_flag("--names", options.names, "Print only the names, one per line");
           },
       .run = print_consumers},
      footprints_command(),
      line_command(),
      explain_command(),
      events_command(),
      simulate_command(std::move(backends.simulate)),
      config_command(),
      {.name = "version",
       .summary = "Print the version",
       .example = "mgpu version",
       .add_arguments =
           [](CLI::App& app, Options& options) {
             app.add_flag("--json", options.json, "Print the JSON of GET /v1/version");
           },
       .run =
           [](const Options& options) {
             if (options.json)
               fmt::print("{{\"name\": \"mgpu\", \"version\": \"{}\"}}\n", MGPU_VERSION);
             else
               fmt::print("mgpu {}\n", MGPU_VERSION);
             return kOk;
           }},
      completion_command(),
  };
}

std::unique_ptr<CLI::App> make_parser(const std::vector<Command>& table, Options& options,
                                      std::function<int(const Options&)>& selected) {
  auto app = std::make_unique<CLI::App>(
      "mgpu: shares a GPU among programs: one line, and memory freed before each turn", "mgpu");
  add_url_option(*app, options);
  app->require_subcommand(1);
  app->footer(std::string("Example:\n  mgpu serve --config mgpu.yaml &\n  mgpu status\n\n") + kExitCodeHelp +
              "\n");
  for (const Command& command : table) add_command(*app, command, options, selected);
  return app;
}

int main(int argc, const char* const* argv, CommandBackends backends) {
  // The words after the first "--" are the command of `mgpu run`.
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto split = std::ranges::find(words, "--");
  Options options;
  if (split != words.end()) options.command.assign(split + 1, words.end());
  words.erase(split, words.end());

  std::function<int(const Options&)> selected;
  const std::vector<Command> table = command_table(std::move(backends));
  const auto app = make_parser(table, options, selected);
  try {
    std::ranges::reverse(words);  // CLI11 takes the first word from the end
    app->parse(words);
  } catch (const CLI::ParseError& error) {  // --help is one, too
    return app->exit(error) == 0 ? kOk : kUsage;
  }
  const CLI::App* run = app->get_subcommand("run");
  if (run->parsed()) {
    for (const std::string& word : run->remaining()) options.command.push_back(word);
    if (options.command.empty())
      return fmt::print(stderr, "mgpu run: no command given; write mgpu run --consumer NAME -- COMMAND...\n"),
             kUsage;
    if (options.consumer.empty() && options.bytes == Bytes{})
      return fmt::print(stderr, "mgpu run: give --consumer NAME, or --bytes AMOUNT (such as 6GiB)\n"), kUsage;
  }
  return selected(options);
}

}  // namespace mgpu::cli
