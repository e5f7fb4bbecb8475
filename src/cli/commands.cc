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

// --- arguments that several commands have ---

void add_json_flag(CLI::App& app, Options& options) {
  app.add_flag("--json", options.json, "Print the daemon's answer as JSON");
}

void add_consumer_argument(CLI::App& app, Options& options) {
  app.add_option("consumer", options.consumer, "Name of the consumer, or consumer/ai-model")->required();
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
      ->allow_extra_args(false);  // one value each time, so that words may follow
}

void add_duration_option(CLI::App& app, const std::string& name, std::chrono::milliseconds& into,
                         const std::string& text) {
  app.add_option_function<std::string>(
         name,
         [&into](const std::string& value) {
           const Result<Duration> limit = parse_duration(value);
           if (!limit) throw CLI::ValidationError(limit.error().detail);
           into = std::chrono::ceil<std::chrono::milliseconds>(*limit);
         },
         text)
      ->type_name("DURATION");
}

void add_priority_option(CLI::App& app, Options& options) {
  app.add_option("--priority", options.priority, "How urgent it is (default: the consumer's)")
      ->check(CLI::IsMember({"realtime", "interactive", "normal", "batch"}));
}

// --- commands with more than a line to say ---

Command serve_command(std::function<int(const ServeOptions&)> serve) {
  return {.name = "serve",
          .summary = "Run the daemon",
          .example = "mgpu serve --config mgpu.yaml\n  mgpu serve -c mgpu.yaml --simulated 24GiB",
          .add_arguments =
              [](CLI::App& app, Options& options) {
                app.add_option("-c,--config", options.serve.config,
                               "Configuration file (default: ./mgpu.yaml, then /etc/mgpu/mgpu.yaml)");
                app.add_option("--listen", options.serve.listen,
                               "Address and port, instead of the configuration's");
                add_bytes_option(
                    app, "--simulated", [&options](Bytes bytes) { options.serve.simulated.push_back(bytes); },
                    "Simulate a device of this size instead of using real ones (may be repeated)");
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
          "The turn is given back whatever happens to mgpu, kill -9 included; the command then gets "
          "SIGTERM.\n"
          "If the turn ends early because the daemon stopped, the command goes on and a warning is printed.\n"
          "The command finds MGPU_TICKET, MGPU_CONSUMER and MGPU_URL in its environment.",
      .add_arguments =
          [](CLI::App& app, Options& options) {
            auto* consumer =
                app.add_option("-c,--consumer", options.consumer, "Take the turn as this consumer");
            add_bytes_option(
                app, "--bytes", [&options](Bytes bytes) { options.bytes = bytes; },
                "Reserve this much device memory without being a consumer (6GiB)")
                ->excludes(consumer);
            app.add_option("--device", options.device, "Id of the device, with --bytes");
            add_duration_option(app, "--wait-limit", options.wait_limit,
                                "Give up if the turn does not come within this time (30s, 10m)");
            add_duration_option(app, "--deadline", options.deadline,
                                "Be refused if the command can't start within this time");
            add_priority_option(app, options);
            app.add_option("--user", options.user, "On whose behalf, for fair shares among users");
            app.add_flag("-q,--quiet", options.quiet, "Do not say where in the line it stands");
            app.prefix_command();
          },
      .run = run_command,
      .exit_codes = kRunExitCodeHelp};
}

Command line_command() {
  return {.name = "line",
          .summary = "Show who waits, or take a ticket out of the line",
          .example = "mgpu line\n  mgpu line cancel 42",
          .add_arguments = add_json_flag,
          .run = print_line,
          .subcommands = {{.name = "cancel",
                           .summary = "Take a ticket out of the line, or end its lease",
                           .example = "mgpu line cancel 42",
                           .add_arguments =
                               [](CLI::App& app, Options& options) {
                                 app.add_option("ticket", options.ticket, "Number of the ticket")->required();
                                 add_json_flag(app, options);
                               },
                           .run = cancel_ticket}}};
}

Command footprints_command() {
  return {.name = "footprints",
          .summary = "Show what each resident costs, and how that is known",
          .example = "mgpu footprints\n  mgpu footprints forget chat",
          .add_arguments = add_json_flag,
          .run = print_footprints,
          .subcommands = {
              {.name = "forget",
               .summary = "Forget what was learned of a consumer, and begin with its declaration again",
               .example = "mgpu footprints forget chat",
               .add_arguments = add_consumer_argument,
               .run = forget_footprint}}};
}

Command explain_command() {
  return {.name = "explain",
          .summary = "Tell why a ticket waited, or what would happen if a consumer asked now",
          .example = "mgpu explain 42\n  mgpu explain --next chat --priority interactive",
          .add_arguments =
              [](CLI::App& app, Options& options) {
                auto* ticket = app.add_option("ticket", options.ticket, "Number of the ticket");
                auto* next =
                    app.add_option("--next", options.consumer,
                                   "Instead: what if this consumer (or consumer/ai-model) asked now");
                next->excludes(ticket);
                add_priority_option(app, options);
                add_json_flag(app, options);
              },
          .run = [](const Options& options) -> int {
            if (options.ticket != 0 || !options.consumer.empty()) return print_explanation(options);
            fmt::print(stderr, "mgpu explain: needs the number of a ticket, or --next CONSUMER\n");
            return kUsage;
          }};
}

Command events_command() {
  return {.name = "events",
          .summary = "Show what happened: arrivals, grants, loads, evictions",
          .example = "mgpu events --follow\n  mgpu events --json | jq .",
          .add_arguments =
              [](CLI::App& app, Options& options) {
                app.add_flag("-f,--follow", options.follow, "Go on with what happens from now on");
                app.add_flag("--json", options.json, "One JSON object a line");
              },
          .run = print_events};
}

int print_simulation(const std::function<Result<std::string>(const SimulateOptions&)>& simulate,
                     const Options& options) {
  SimulateOptions wanted = options.simulate;
  const auto path = find_config_path(wanted.config);
  if (!path) {
    fmt::print(stderr, "mgpu simulate: {}\n", path.error().detail);
    return kUsage;
  }
  wanted.config = *path;
  wanted.json = options.json;
  const Result<std::string> text = simulate(wanted);
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
      .summary = "What would have been: replay a journal or a table in another house",
      .example =
          "mgpu simulate --trace day.jsonl --policy fifo,affinity --svg day.svg\n"
          "  mgpu simulate --trace day.csv --device-memory 24GiB --set overtake_limit=5s --set capacity=2\n"
          "  mgpu simulate --trace day.jsonl --set consumers.chat.pinned=true\n\n"
          "A journal is what `mgpu events --json` prints, or /v1/events. The configuration makes the house;\n"
          "each policy is shown as it is, and with all changes of --set and --device-memory at once.\n"
          "A table is a CSV file with the columns time,consumer,seconds[,user,priority,flow]; rows of one\n"
          "flow are asked one after the other. No daemon is needed.",
      .add_arguments =
          [](CLI::App& app, Options& options) {
            SimulateOptions& wanted = options.simulate;
            app.add_option("-c,--config", wanted.config,
                           "Configuration file (default: ./mgpu.yaml, then /etc/mgpu/mgpu.yaml)");
            app.add_option("--trace", wanted.trace, "Journal (mgpu events --json) or CSV")->required();
            app.add_option("--policy", wanted.policies, "fifo, affinity (default: the configuration's)")
                ->delimiter(',')
                ->allow_extra_args(false);
            app.add_option("--set", wanted.settings,
                           "KEY=VALUE to change: a limit, capacity, page_cache, consumers.NAME.KEY")
                ->allow_extra_args(false);
            add_bytes_option(
                app, "--device-memory",
                [&options](Bytes bytes) { options.simulate.device_memory.push_back(bytes); },
                "Size of the devices, instead of what the trace says (may be repeated)");
            app.add_option(
                "--footprints", wanted.footprints,
                "What `mgpu status --json` printed, or another journal: sizes, and what loads take");
            app.add_option("--svg", wanted.svg, "Write a timeline to this file");
            add_json_flag(app, options);
          },
      .run = [simulate = std::move(simulate)](
                 const Options& options) { return print_simulation(simulate, options); }};
}

void add_file_argument(CLI::App& app, Options& options) {
  app.add_option("file,-c,--config", options.serve.config,
                 "Configuration file (default: ./mgpu.yaml, then /etc/mgpu/mgpu.yaml)");
}

Command config_command() {
  return {.name = "config",
          .summary = "Check, show and explain the configuration",
          .example = "mgpu config check mgpu.yaml",
          .subcommands = {{.name = "check",
                           .summary = "Say everything that is wrong with a configuration",
                           .example = "mgpu config check mgpu.yaml",
                           .add_arguments =
                               [](CLI::App& app, Options& options) {
                                 add_file_argument(app, options);
                                 app.add_flag("--json", options.json, "The complaints as JSON");
                               },
                           .run = check_config},
                          {.name = "show",
                           .summary = "Print a configuration with every default",
                           .example = "mgpu config show mgpu.yaml",
                           .add_arguments = add_file_argument,
                           .run = print_config},
                          {.name = "schema",
                           .summary = "Print the JSON schema, for editors",
                           .example = "mgpu config schema > mgpu.schema.json",
                           .run = print_schema},
                          {.name = "reference",
                           .summary = "Print the page about every key (docs/config.md)",
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
                Options scratch;
                std::function<int(const Options&)> nothing;
                const std::vector<Command> table = command_table({});
                const auto app = make_parser(table, scratch, nothing);
                const auto make = options.shell == "bash"  ? bash_completion
                                  : options.shell == "zsh" ? zsh_completion
                                                           : fish_completion;
                fmt::print("{}", make(*app));
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
  app->add_option("--url", options.url, "The daemon (default: $MGPU_URL, or http://127.0.0.1:8090)");
  if (command.add_arguments) command.add_arguments(*app, options);
  for (const Command& inner : command.subcommands) add_command(*app, inner, options, selected);
  if (!command.run) app->require_subcommand(1);
  // Called inside out, so the innermost command that does something wins.
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
             app.add_flag("-w,--watch", options.watch, "Again every second, until Ctrl-C");
             add_json_flag(app, options);
           },
       .run = print_status},
      {.name = "memory",
       .summary = "Show who holds what of each device's memory",
       .example = "mgpu memory",
       .add_arguments =
           [](CLI::App& app, Options& options) {
             app.add_flag("--json", options.json, "The same as JSON; the parts add up to the driver's total");
           },
       .run = print_memory},
      run_in_turn_command(),
      residency_command("load", "Bring a consumer into device memory"),
      residency_command("unload", "Take a consumer's device memory back"),
      residency_command("park", "Move a consumer into host memory, where it is quick to bring back"),
      {.name = "consumers",
       .summary = "Show the consumers and their state",
       .example = "mgpu consumers",
       .add_arguments =
           [](CLI::App& app, Options& options) {
             add_json_flag(app, options);
             app.add_flag("--names", options.names, "Only the names, one a line");
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
             app.add_flag("--json", options.json, "As JSON, as GET /v1/version says it");
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
      "mgpu: several GPU programs on one GPU, one line, room made before each", "mgpu");
  app->add_option("--url", options.url, "The daemon (default: $MGPU_URL, or http://127.0.0.1:8090)");
  app->require_subcommand(1);
  app->footer(std::string("Example:\n  mgpu serve --config mgpu.yaml &\n  mgpu status\n\n") + kExitCodeHelp +
              "\n");
  for (const Command& command : table) add_command(*app, command, options, selected);
  return app;
}

int main(int argc, const char* const* argv, CommandBackends backends) {
  // What follows the first -- is the command of `mgpu run`, none of our words.
  std::vector<std::string> words(argv + 1, argv + argc);
  const auto split = std::ranges::find(words, "--");
  Options options;
  if (split != words.end()) options.command.assign(split + 1, words.end());
  words.erase(split, words.end());

  std::function<int(const Options&)> selected;
  const std::vector<Command> table = command_table(std::move(backends));
  const auto app = make_parser(table, options, selected);
  try {
    std::ranges::reverse(words);  // as CLI11 wants them
    app->parse(words);
  } catch (const CLI::ParseError& error) {  // also thrown for --help
    return app->exit(error) == 0 ? kOk : kUsage;
  }
  const CLI::App* run = app->get_subcommand("run");
  if (run->parsed()) {
    for (const std::string& word : run->remaining()) options.command.push_back(word);
    if (options.command.empty())
      return fmt::print(stderr, "mgpu run: which command? (mgpu run -- COMMAND ...)\n"), kUsage;
    if (options.consumer.empty() && options.bytes == Bytes{})
      return fmt::print(stderr, "mgpu run: needs --consumer NAME or --bytes 6GiB\n"), kUsage;
  }
  return selected(options);
}

}  // namespace mgpu::cli
