#include "simulate/simulate.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "config/config.h"
#include "engine/setup.h"

#include "replay/csv.h"
#include "replay/replay.h"
#include "replay/settings.h"
#include "simulate/journal_import.h"
#include "simulate/report.h"

namespace mgpu::simulate {
namespace {

Result<std::string> read_file(const std::string& path) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored))
    return fail(ErrorCode::invalid_request, path + " is a folder, not a file");
  std::ifstream file(path, std::ios::binary);
  if (!file) return fail(ErrorCode::invalid_request, path + " can't be read: " + std::strerror(errno));
  return std::string(std::istreambuf_iterator<char>(file), {});
}

template <class T>
std::unexpected<Error> file_error(const std::string& path, const Result<T>& result) {
  return fail(result.error().code, path + ": " + result.error().detail);
}

// --- machine ---

Result<config::Config> read_config(const std::string& path) {
  config::ParseResult parsed = config::parse_file(path);
  if (parsed.diagnostics.empty()) return std::move(parsed.config);
  std::string all;
  for (const config::Diagnostic& diagnostic : parsed.diagnostics)
    all += (all.empty() ? "" : "\n") + to_string(diagnostic);
  return fail(ErrorCode::invalid_config, all);
}

// The devices in the configuration, without asking the driver. Their sizes are set later.
std::vector<gpu::DeviceInfo> configured_devices(const config::Config& config, std::size_t at_least) {
  std::vector<gpu::DeviceInfo> devices(std::max({config.devices.size(), at_least, std::size_t{1}}));
  for (std::size_t i = 0; i < devices.size(); ++i) {
    devices[i].index = static_cast<std::uint32_t>(i);
    if (i >= config.devices.size()) continue;
    devices[i].index = config.devices[i].index.value_or(devices[i].index);
    devices[i].uuid = config.devices[i].uuid;
  }
  return devices;
}

Result<replay::Machine> build_machine(const SimulationRequest& request) {
  const auto config = read_config(request.config);
  if (!config) return std::unexpected(config.error());
  auto setup = engine::make_setup(*config, configured_devices(*config, request.device_memory.size()));
  if (!setup) return std::unexpected(setup.error());
  replay::Machine machine{.world = std::move(setup->world)};
  machine.device_memory.resize(machine.world.lines.size());
  for (const Resident& resident : machine.world.registry.residents)
    machine.costs.push_back(replay::estimated_costs(resident.footprint));
  return machine;
}

void set_device_memory(replay::Machine& machine, const std::vector<Bytes>& sizes) {
  for (std::size_t i = 0; i < machine.device_memory.size() && !sizes.empty(); ++i)
    machine.device_memory[i] = sizes[std::min(i, sizes.size() - 1)];
}

Result<void> check_device_sizes(const replay::Machine& machine) {
  for (std::size_t i = 0; i < machine.device_memory.size(); ++i)
    if (machine.device_memory[i] <= Bytes{})
      return fail(ErrorCode::invalid_request,
                  "the memory size of " + machine.world.registry.devices[i].name +
                      " is unknown: use --device-memory, or --footprints with the output of "
                      "`mgpu status --json`");
  return {};
}

// --- workload ---

struct Trace {
  replay::Workload workload{};
  ReportHeader header{};
};

std::string format_workload_length(const replay::Workload& workload) {
  Instant first = kNever, last{};
  for (const replay::Flow& flow : workload.flows)
    first = std::min(first, flow.start), last = std::max(last, flow.start);
  return workload.flows.empty() ? "0s"
                                : to_string(std::chrono::duration_cast<std::chrono::seconds>(last - first));
}

Result<Trace> read_trace(const SimulationRequest& request, replay::Machine& machine,
                         std::size_t& known_costs) {
  const auto text = read_file(request.trace);
  if (!text) return std::unexpected(text.error());
  Trace trace;
  if (is_journal(*text)) {
    const auto journal = parse_journal(*text);
    if (!journal) return file_error(request.trace, journal);
    known_costs += learn_from(machine, *journal);
    RecordedWorkload recorded = extract_workload(machine, *journal);
    trace.workload = std::move(recorded.workload);
    if (recorded.skipped_tickets > 0)
      trace.header.remarks.push_back(fmt::format(
          "{} tickets are skipped: they never ran, or their consumer is not in the configuration.",
          recorded.skipped_tickets));
  } else {
    auto workload = replay::parse_csv(*text, machine);
    if (!workload) return file_error(request.trace, workload);
    trace.workload = std::move(*workload);
  }
  std::size_t jobs = 0;
  for (const replay::Flow& flow : trace.workload.flows) jobs += flow.steps.size();
  trace.header.trace =
      fmt::format("{}: {} jobs in {}", request.trace, jobs, format_workload_length(trace.workload));
  return trace;
}

// Reads learned costs from a file that is a status or a journal.
Result<std::size_t> learn_from_file(const std::string& path, replay::Machine& machine) {
  if (path.empty()) return 0;
  const auto text = read_file(path);
  if (!text) return std::unexpected(text.error());
  if (const auto status = nlohmann::json::parse(*text, nullptr, false); !status.is_discarded())
    return learn_from(machine, status);
  const auto journal = parse_journal(*text);
  if (!journal) return file_error(path, journal);
  return learn_from(machine, *journal);
}

// --- variants ---

Result<Variant> run_variant(const replay::Machine& machine, const Trace& trace, std::string name,
                            const std::vector<std::string>& settings,
                            const std::vector<Bytes>& device_memory) {
  Variant variant{.name = std::move(name), .machine = machine, .outcome = {}};
  for (const std::string& setting : settings)
    if (const auto done = replay::apply_setting(variant.machine, setting); !done)
      return fail(done.error().code, setting + ": " + done.error().detail);
  set_device_memory(variant.machine, device_memory);
  variant.outcome = replay::replay(variant.machine, trace.workload);
  return variant;
}

// Each policy on the unchanged machine, and with all changes applied.
Result<std::vector<Variant>> run_variants(const SimulationRequest& request, const replay::Machine& machine,
                                          const Trace& trace, const std::vector<Bytes>& more_memory) {
  std::vector<std::string> policies = request.policies;
  if (policies.empty())
    policies.emplace_back(machine.world.limits.policy == Policy::fifo ? "fifo" : "affinity");
  std::string changes;
  for (const std::string& setting : request.settings) changes += ", " + setting;
  for (const Bytes bytes : more_memory) changes += ", " + to_exact_string(bytes);
  std::vector<Variant> variants;
  for (const std::string& policy : policies) {
    std::vector<std::string> settings{"policy=" + policy};
    auto plain = run_variant(machine, trace, policy, settings, {});
    if (!plain) return std::unexpected(plain.error());
    variants.push_back(std::move(*plain));
    if (changes.empty()) continue;
    settings.insert(settings.end(), request.settings.begin(), request.settings.end());
    auto changed = run_variant(machine, trace, policy + changes, settings, more_memory);
    if (!changed) return std::unexpected(changed.error());
    variants.push_back(std::move(*changed));
  }
  return variants;
}

Result<void> write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file << text;
  file.close();
  if (!file) return fail(ErrorCode::invalid_request, path + " can't be written: " + std::strerror(errno));
  return {};
}

}  // namespace

Result<std::string> simulate(const SimulationRequest& request) {
  auto machine = build_machine(request);
  if (!machine) return std::unexpected(machine.error());
  const auto learned = learn_from_file(request.footprints, *machine);
  if (!learned) return std::unexpected(learned.error());
  std::size_t known = *learned;
  auto trace = read_trace(request, *machine, known);
  if (!trace) return std::unexpected(trace.error());
  if (known < machine->costs.size())
    trace->header.remarks.push_back(fmt::format(
        "Load times are known for {} of {} residents; for the others 2 GiB/s from disk is assumed.",
        std::min(known, machine->costs.size()), machine->costs.size()));

  // If the sizes are known already, --device-memory is a change to compare; otherwise it sets them.
  std::vector<Bytes> more_memory = request.device_memory;
  if (!check_device_sizes(*machine)) set_device_memory(*machine, std::exchange(more_memory, {}));
  if (const auto sized = check_device_sizes(*machine); !sized) return std::unexpected(sized.error());
  set_learned_costs(*machine);

  const auto variants = run_variants(request, *machine, *trace, more_memory);
  if (!variants) return std::unexpected(variants.error());
  if (!request.svg.empty())
    if (const auto written = write_file(request.svg, format_timeline_svg(*variants)); !written)
      return std::unexpected(written.error());
  return request.json ? format_json(trace->header, *variants) : format_table(trace->header, *variants);
}

}  // namespace mgpu::simulate
