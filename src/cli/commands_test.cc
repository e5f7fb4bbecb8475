#include "cli/commands.h"

#include <gtest/gtest.h>

#include "cli/exit_codes.h"

namespace mgpu::cli {
namespace {

struct CliResult {
  int code = 0;
  std::string out{};
  std::string err{};
  ServeOptions served{};
  SimulateOptions simulated{};
};

// Runs `mgpu words...` in this process.
CliResult run_mgpu(std::vector<const char*> words) {
  CliResult outcome;
  words.insert(words.begin(), "mgpu");
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  const auto serve = [&](const ServeOptions& options) {
    outcome.served = options;
    return 0;
  };
  const auto simulate = [&](const SimulateOptions& options) -> Result<std::string> {
    outcome.simulated = options;
    return "simulated\n";
  };
  outcome.code = main(static_cast<int>(words.size()), words.data(), {.serve = serve, .simulate = simulate});
  std::fflush(stdout);
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

TEST(Commands, ServeTakesItsOptions) {
  const CliResult outcome = run_mgpu(
      {"serve", "-c", "x.yaml", "--listen", "127.0.0.1:0", "--simulated", "24GiB", "--simulated", "8GiB"});
  EXPECT_EQ(outcome.code, kOk) << outcome.err;
  EXPECT_EQ(outcome.served.config, "x.yaml");
  EXPECT_EQ(outcome.served.listen, "127.0.0.1:0");
  EXPECT_EQ(outcome.served.simulated, (std::vector<Bytes>{kGiB * 24, kGiB * 8}));
}

TEST(Commands, SimulateTakesItsOptions) {
  const CliResult outcome = run_mgpu(
      {"simulate", "-c", "x.yaml", "--trace", "day.csv", "--policy", "fifo,affinity", "--set", "capacity=2",
       "--set", "consumers.chat.pinned=true", "--device-memory", "48GiB", "--svg", "day.svg", "--json"});
  EXPECT_EQ(outcome.code, kOk) << outcome.err;
  EXPECT_EQ(outcome.out, "simulated\n");
  EXPECT_EQ(outcome.simulated.trace, "day.csv");
  EXPECT_EQ(outcome.simulated.policies, (std::vector<std::string>{"fifo", "affinity"}));
  EXPECT_EQ(outcome.simulated.settings,
            (std::vector<std::string>{"capacity=2", "consumers.chat.pinned=true"}));
  EXPECT_EQ(outcome.simulated.device_memory, (std::vector<Bytes>{kGiB * 48}));
  EXPECT_EQ(outcome.simulated.svg, "day.svg");
  EXPECT_TRUE(outcome.simulated.json);
  EXPECT_EQ(run_mgpu({"simulate"}).code, kUsage);
}

TEST(Commands, WrongUseIsExitCodeTwo) {
  EXPECT_EQ(run_mgpu({}).code, kUsage);
  EXPECT_EQ(run_mgpu({"srve"}).code, kUsage);
  EXPECT_EQ(run_mgpu({"load"}).code, kUsage);
  EXPECT_EQ(run_mgpu({"config"}).code, kUsage);
  EXPECT_EQ(run_mgpu({"serve", "--simulated", "lots"}).code, kUsage);
  EXPECT_EQ(run_mgpu({"run", "--consumer", "x"}).code, kUsage);
  EXPECT_EQ(run_mgpu({"run", "--", "true"}).code, kUsage);
  EXPECT_EQ(run_mgpu({"run", "--consumer", "x", "--wait-limit", "soon", "--", "true"}).code, kUsage);
  EXPECT_EQ(run_mgpu({"completion", "tcsh"}).code, kUsage);
  EXPECT_TRUE(
      contains(run_mgpu({"serve", "--simulated", "lots"}).err, "\"lots\" is not an amount of memory"));
}

TEST(Commands, EveryHelpHasAnExampleAndTheExitCodes) {
  const std::vector<Command> table = command_table({});
  EXPECT_GE(table.size(), 12u);
  for (const Command& command : table) {
    const std::string help = run_mgpu({command.name.c_str(), "--help"}).out;
    EXPECT_TRUE(contains(help, "Example:\n  mgpu " + command.name) || command.name == "completion") << help;
    EXPECT_TRUE(contains(help, "Exit codes:")) << help;
  }
}

TEST(Commands, NobodyAtTheUrlIsExitCodeThree) {
  for (const char* command : {"status", "consumers", "line", "events"}) {
    const CliResult outcome = run_mgpu({command, "--url", "http://127.0.0.1:1"});
    EXPECT_EQ(outcome.code, kUnreachable);
    EXPECT_TRUE(contains(outcome.err, "unavailable: no answer from mgpu at http://127.0.0.1:1"))
        << outcome.err;
  }
  EXPECT_EQ(run_mgpu({"--url", "http://127.0.0.1:1", "status"}).code, kUnreachable);
  EXPECT_EQ(run_mgpu({"run", "--url", "http://127.0.0.1:1", "--bytes", "1GiB", "--", "true"}).code,
            kUnreachable);
}

TEST(Commands, ACommandThatIsNotThereNeedNotWaitForItsTurn) {
  EXPECT_EQ(run_mgpu({"run", "--url", "http://127.0.0.1:1", "--bytes", "1GiB", "--", "no-such-program"}).code,
            kNoSuchCommand);
  EXPECT_EQ(
      run_mgpu({"run", "--url", "http://127.0.0.1:1", "--bytes", "1GiB", "/dev/null", "--its-own-flag"}).code,
      kNotExecutable);
}

TEST(Commands, ConfigComplaintsAreExitCodeTwo) {
  EXPECT_EQ(run_mgpu({"config", "check", "/nowhere/mgpu.yaml"}).code, kUsage);
  const CliResult as_json = run_mgpu({"config", "check", "--json", "/nowhere/mgpu.yaml"});
  EXPECT_EQ(as_json.code, kUsage);
  EXPECT_TRUE(contains(as_json.out, "\"good\": false") && contains(as_json.out, "can't be read"));
  EXPECT_TRUE(contains(run_mgpu({"config", "reference"}).out, "# Configuration"));
  EXPECT_TRUE(contains(run_mgpu({"config", "schema"}).out, "$schema"));
}

TEST(Completion, KnowsEveryCommand) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = run_mgpu({"completion", shell}).out;
    for (const Command& command : command_table({})) EXPECT_TRUE(contains(script, command.name)) << shell;
    EXPECT_TRUE(contains(script, "wait-limit")) << shell;
  }
}

}  // namespace
}  // namespace mgpu::cli
