#include "simgpu/show.h"

#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/bytes.h"
#include "gpu/process_table.h"

namespace mgpu::simgpu {
namespace {

using Json = nlohmann::ordered_json;

std::string format_bytes(std::uint64_t bytes) { return to_string(Bytes{static_cast<std::int64_t>(bytes)}); }

std::string read_command(int pid) {
  const auto process = gpu::read_process(pid);
  return process ? process->command : "";
}

// The active faults, named like the options of `mgpu-simgpu fault`.
Json to_json(const Faults& faults) {
  Json json = Json::object();
  if (faults.slow_free_ms) json["slow_free_ms"] = faults.slow_free_ms;
  if (faults.slow_exit_ms) json["slow_exit_ms"] = faults.slow_exit_ms;
  if (faults.leak_permille) json["leak"] = static_cast<double>(faults.leak_permille) / 1000.0;
  if (faults.foreign) json["foreign"] = faults.foreign;
  if (faults.misread) json["misread"] = faults.misread;
  if (faults.lost) json["lost"] = true;
  if (faults.hang) json["hang"] = true;
  if (faults.hide_processes) json["hide_processes"] = true;
  if (faults.list == ProcessListFault::none) json["list"] = "none";
  if (faults.list == ProcessListFault::empty) json["list"] = "empty";
  return json;
}

Json to_json(const Device& device, unsigned index) {
  Json processes = Json::array(), checkpointed = Json::array();
  for (const Holder& holder : device.holders) {
    if (holder.bytes == 0) continue;
    Json& list = holder.checkpoint_state == CheckpointState::checkpointed ? checkpointed : processes;
    list.push_back({{"pid", holder.pid}, {"bytes", holder.bytes}, {"command", read_command(holder.pid)}});
  }
  Json json{{"index", index},
            {"name", device.name.data()},
            {"uuid", device.uuid.data()},
            {"total", device.total},
            {"reserved", device.reserved},
            {"used", used_bytes(device)},
            {"leaked", device.leaked},
            {"oom_count", device.oom_count},
            {"allocations", device.allocations},
            {"peak_used", device.peak_used},
            {"processes", std::move(processes)},
            {"checkpointed", std::move(checkpointed)},
            {"faults", to_json(device.faults)}};
  if (device.hanging > 0) json["hanging"] = device.hanging;
  if (device.slice_of > 0) json["slice_of"] = device.slice_of - 1;
  return json;
}

std::string to_table(const Device& device, unsigned index) {
  std::string text = fmt::format("{:<4}{:<24}{:>11}{:>11}{:>11}{:>8}{:>8}\n", index, device.name.data(),
                                 format_bytes(device.total), format_bytes(used_bytes(device)),
                                 format_bytes(device.peak_used), device.allocations, device.oom_count);
  for (const Holder& holder : device.holders) {
    if (holder.bytes == 0) continue;
    const char* suffix = holder.checkpoint_state == CheckpointState::checkpointed ? " (checkpointed)" : "";
    text += fmt::format("    {:<24}{:>22}  {:.60}\n", fmt::format("pid {}{}", holder.pid, suffix),
                        format_bytes(holder.bytes), read_command(holder.pid));
  }
  if (device.leaked) text += fmt::format("    {:<24}{:>22}\n", "leaked", format_bytes(device.leaked));
  const Json faults = to_json(device.faults);
  for (const auto& [name, value] : faults.items())
    text += fmt::format("    fault {} = {}\n", name, value.dump());
  return text;
}

}  // namespace

std::string to_json(const State& state) {
  Json devices = Json::array();
  for (unsigned index = 0; index < state.device_count; ++index) {
    devices.push_back(to_json(state.devices[index], index));
  }
  // A command line may contain bytes that are not UTF-8.
  return Json{{"devices", std::move(devices)}}.dump(2, ' ', false, Json::error_handler_t::replace);
}

std::string to_table(const State& state) {
  std::string text = fmt::format("{:<4}{:<24}{:>11}{:>11}{:>11}{:>8}{:>8}\n", "GPU", "NAME", "TOTAL", "USED",
                                 "PEAK", "ALLOCS", "OOM");
  for (unsigned index = 0; index < state.device_count; ++index) text += to_table(state.devices[index], index);
  return text;
}

}  // namespace mgpu::simgpu
