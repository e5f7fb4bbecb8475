// The command `mgpu-simgpu`: creates and shows simulated GPUs, holds memory of them and injects faults.
#include <cmath>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>

#include <CLI/CLI.hpp>
#include <fmt/core.h>

#include "base/bytes.h"
#include "base/time.h"

#include "simgpu/hold.h"
#include "simgpu/show.h"
#include "simgpu/state_file.h"

namespace {

using namespace mgpu;
using namespace mgpu::simgpu;

constexpr const char* kExamples = R"(Examples:
  mgpu-simgpu create --file /tmp/gpu --device 24GiB --device 12GiB
  mgpu-simgpu create --file /tmp/mig --device 40GiB --mig 0=20GiB,10GiB
  export MGPU_SIMGPU=/tmp/gpu
  mgpu-simgpu show
  mgpu-simgpu hold 8GiB -- sleep 60          # holds 8 GiB while the command runs
  mgpu-simgpu hold 2GiB --device 1           # until Ctrl-C
  mgpu-simgpu fault --slow-free 500ms        # freed memory becomes free half a second late
  mgpu-simgpu fault --leak 0.25              # a quarter of freed memory stays used
  mgpu-simgpu fault --device 1 --lost        # calls for device 1 return GPU_IS_LOST
  mgpu-simgpu fault clear                    # removes all faults on every device

Exit codes: 0 success, 1 failure (the reason is on stderr), 2 wrong usage, 3 hold: out of memory;
hold otherwise ends with the exit code of its command.)";

struct FaultOptions {
  std::optional<unsigned> device{};  // nullopt: all
  std::string slow_free{}, slow_exit{}, leak{}, misread{}, foreign{};
  std::optional<bool> lost{}, hide_processes{}, hang{};
  std::optional<ProcessListFault> list{};
};

int report_error(const Error& error) {
  fmt::print(stderr, "mgpu-simgpu: {}\n", error.detail);
  return error.code == ErrorCode::invalid_request ? kExitUsage : kExitFailed;
}

Result<std::uint64_t> parse_amount(const std::string& text) {
  const auto bytes = parse_bytes(text);
  if (!bytes) return std::unexpected(bytes.error());
  return static_cast<std::uint64_t>(bytes->count);
}

// "0=10GiB,-,5GiB": the slices of device 0; a dash leaves a slot empty.
Result<void> parse_slices(std::vector<DeviceSpec>& devices, const std::string& spec) {
  std::istringstream text(spec);
  std::size_t index = 0;
  char equals = 0;
  if (!(text >> index >> equals) || equals != '=' || index >= devices.size())
    return fail(
        ErrorCode::invalid_request,
        "--mig \"" + spec + "\" is not DEVICE=SIZE,SIZE,... of an existing device, such as 0=10GiB,-,5GiB");
  for (std::string size; std::getline(text, size, ',');) {
    const auto bytes = size == "-" ? Result<std::uint64_t>(0) : parse_amount(size);
    if (!bytes) return std::unexpected(bytes.error());
    devices[index].slices.push_back(*bytes);
  }
  return {};
}

int run_create(const std::string& path, const std::vector<std::string>& sizes,
               const std::vector<std::string>& mig, const std::string& reserved, bool force) {
  if (!force && std::filesystem::exists(path)) {
    return report_error({ErrorCode::invalid_request,
                         path + " exists: use --force to replace it, which frees all memory held in it"});
  }
  const auto reserved_bytes = parse_amount(reserved);
  if (!reserved_bytes) return report_error(reserved_bytes.error());
  std::vector<DeviceSpec> devices;
  for (const std::string& size : sizes) {
    const auto total = parse_amount(size);
    if (!total) return report_error(total.error());
    devices.push_back({.total = *total, .reserved = *reserved_bytes});
  }
  for (const std::string& spec : mig)
    if (const auto parsed = parse_slices(devices, spec); !parsed) return report_error(parsed.error());
  const auto created = create_state_file(path, devices);
  return created ? 0 : report_error(created.error());
}

int run_show(const std::string& path, bool json) {
  const auto copy = std::make_unique<State>();
  {
    const auto state = LockedState::open(path);
    if (!state) return report_error(state.error());
    *copy = **state;  // the lock is released before commands are looked up
  }
  fmt::print("{}\n", json ? to_json(*copy) : to_table(*copy));
  return 0;
}

// "1GiB" or "-512MiB".
Result<std::int64_t> parse_signed_amount(const std::string& text) {
  const bool negative = text.starts_with('-');
  const auto bytes = parse_bytes(negative ? text.substr(1) : text);
  if (!bytes) return std::unexpected(bytes.error());
  return negative ? -bytes->count : bytes->count;
}

Result<std::uint64_t> parse_permille(const std::string& text) {
  std::size_t end = 0;
  double fraction = -1;
  try {
    fraction = std::stod(text, &end);
  } catch (const std::exception&) {
  }
  if (end != text.size() || !(fraction >= 0 && fraction <= 1)) {
    return fail(ErrorCode::invalid_request, "--leak \"" + text + "\" is not a fraction from 0 to 1");
  }
  return static_cast<std::uint64_t>(std::lround(fraction * 1000));
}

// The new faults; those without an option stay as they are.
Result<Faults> apply_fault_options(Faults faults, const FaultOptions& options) {
  if (!options.slow_free.empty()) {
    const auto delay = parse_duration(options.slow_free);
    if (!delay) return std::unexpected(delay.error());
    faults.slow_free_ms = static_cast<std::uint64_t>(delay->count() / 1000);
  }
  if (!options.slow_exit.empty()) {
    const auto delay = parse_duration(options.slow_exit);
    if (!delay) return std::unexpected(delay.error());
    faults.slow_exit_ms = static_cast<std::uint32_t>(delay->count() / 1000);
  }
  if (!options.leak.empty()) {
    const auto part = parse_permille(options.leak);
    if (!part) return std::unexpected(part.error());
    faults.leak_permille = *part;
  }
  if (!options.foreign.empty()) {
    const auto bytes = parse_amount(options.foreign);
    if (!bytes) return std::unexpected(bytes.error());
    faults.foreign = *bytes;
  }
  if (!options.misread.empty()) {
    const auto bytes = parse_signed_amount(options.misread);
    if (!bytes) return std::unexpected(bytes.error());
    faults.misread = *bytes;
  }
  if (options.lost) faults.lost = *options.lost;
  if (options.hang) faults.hang = *options.hang;
  if (options.hide_processes) faults.hide_processes = *options.hide_processes;
  if (options.list) faults.list = *options.list;
  return faults;
}

int run_fault(const std::string& path, const FaultOptions& options, bool clear) {
  const auto state = LockedState::open(path);
  if (!state) return report_error(state.error());
  if (options.device && !state->device(*options.device)) {
    return report_error(
        {ErrorCode::invalid_request, fmt::format("{} has no device {}: it has {} devices", path,
                                                 *options.device, (*state)->device_count)});
  }
  for (unsigned index = 0; Device* device = state->device(index); ++index) {
    if (options.device && *options.device != index) continue;
    if (clear) clear_faults(*device);
    const auto faults = apply_fault_options(device->faults, options);
    if (!faults) return report_error(faults.error());
    device->faults = *faults;
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  CLI::App app("A simulated GPU: device memory in a file, with NVML's interface in libmgpu-simgpu.so.",
               "mgpu-simgpu");
  app.footer(kExamples);
  app.require_subcommand(1);
  std::string path = path_from_environment();
  const auto add_file_option = [&](CLI::App* command) {
    command->add_option("--file", path, "file of the simulated GPU (default: env MGPU_SIMGPU)");
    return command;
  };

  std::vector<std::string> sizes;
  std::string reserved = "0";
  bool force = false;
  CLI::App* create_command =
      add_file_option(app.add_subcommand("create", "Create a file with one or more devices"));
  create_command->add_option("--device", sizes, "memory of a device, e.g. 24GiB (repeat for more devices)")
      ->required()
      ->allow_extra_args(false);
  std::vector<std::string> mig;
  create_command
      ->add_option("--mig", mig,
                   "split a device into MIG slices, whose indices follow the devices: "
                   "0=10GiB,-,5GiB (a dash leaves a slot empty)")
      ->allow_extra_args(false);
  create_command->add_option("--reserved", reserved, "memory of each device that the driver reserves");
  create_command->add_flag("--force", force, "replace an existing file");

  bool json = false;
  CLI::App* show_command =
      add_file_option(app.add_subcommand("show", "Show devices, processes that hold memory, and counters"));
  show_command->add_flag("--json", json, "print JSON; amounts in bytes");

  HoldOptions hold_options;
  std::string bytes;
  CLI::App* hold_command = add_file_option(app.add_subcommand("hold", "Hold memory while a command runs"));
  hold_command->add_option("bytes", bytes, "amount of memory, e.g. 8GiB")->required();
  hold_command->add_option("--device", hold_options.device, "index of the device")->capture_default_str();
  hold_command->add_option("command", hold_options.command,
                           "command to run; without one, hold until SIGINT or SIGTERM");

  FaultOptions faults;
  CLI::App* fault_command =
      add_file_option(app.add_subcommand("fault", "Inject or remove faults of a device"));
  fault_command->add_option("--device", faults.device, "index of the device (default: all)");
  fault_command->add_option("--slow-free", faults.slow_free,
                            "delay until freed memory becomes free, e.g. 500ms; 0: none");
  fault_command->add_option("--slow-exit", faults.slow_exit,
                            "delay until memory of exited processes becomes free, e.g. 500ms; 0: none");
  fault_command->add_option("--leak", faults.leak, "fraction of freed memory that stays used, 0 to 1");
  fault_command->add_option("--misread", faults.misread,
                            "error added to the reported used memory, e.g. 1GiB or -1GiB");
  fault_command->add_option("--foreign", faults.foreign, "memory that is used by no process");
  fault_command->add_flag("--lost,!--found", faults.lost, "calls of the driver return GPU_IS_LOST");
  fault_command->add_flag("--hang,!--no-hang", faults.hang, "calls of the driver do not return");
  fault_command->add_flag("--hide-processes,!--show-processes", faults.hide_processes,
                          "the driver does not report the memory of each process");
  fault_command
      ->add_option("--list", faults.list,
                   "the list of processes: none (not supported), empty (lists no process), whole")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, ProcessListFault>{{"none", ProcessListFault::none},
                                                  {"empty", ProcessListFault::empty},
                                                  {"whole", ProcessListFault::whole}}));
  CLI::App* clear_command =
      fault_command->add_subcommand("clear", "remove all faults; leaked memory becomes free");
  clear_command->fallthrough();

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : kExitUsage;
  }

  if (path.empty())
    return report_error(
        {ErrorCode::invalid_request, "no file: use --file FILE or set the environment variable MGPU_SIMGPU"});
  if (*create_command) return run_create(path, sizes, mig, reserved, force);
  if (*show_command) return run_show(path, json);
  if (*fault_command) return run_fault(path, faults, clear_command->parsed());
  const auto parsed = parse_amount(bytes);
  if (!parsed) return report_error(parsed.error());
  hold_options.bytes = *parsed;
  return hold_memory(path, hold_options);
}
