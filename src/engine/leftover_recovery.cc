#include "engine/leftover_recovery.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include <signal.h>

#include "engine/fingerprint.h"
#include "gpu/run_mark.h"
#include "runner/process.h"
#include "runner/run_cgroup.h"
#include "runner/run_processes.h"

#include "store/claim.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr std::string_view kNoMarkHash = "0";           // of runs that must not outlive their daemon
constexpr Duration kUnconfiguredStopLimit{10'000'000};  // for a consumer that is no longer configured

// The device on which the process runs; none: its consumer may no longer use that device.
std::optional<DeviceId> recorded_device(const store::ProcessRow& row, const Consumer& spec,
                                        const std::vector<gpu::DeviceInfo>& devices) {
  if (row.device.empty()) return spec.device;
  const std::vector<DeviceId> may_be_on = spec.devices.empty() ? std::vector{spec.device} : spec.devices;
  const auto found =
      std::ranges::find(may_be_on, row.device, [&](DeviceId id) { return devices[id.value].uuid; });
  return found == may_be_on.end() ? std::nullopt : std::optional(*found);
}

// Why a running process can't be adopted; empty: no obstacle.
std::string adoption_obstacle(const store::ProcessRow& row, const config::ConsumerConfig* consumer_config,
                              std::optional<DeviceId> device) {
  if (consumer_config == nullptr) return "it is in the configuration no more";
  if (row.settings != process_fingerprint(*consumer_config)) return "its configuration changed";
  if (!device) return "it is on a device that it may not be on any more";
  if (!row.settled) return "it was being loaded, evicted or parked";
  return "";
}

// The pid of the running daemon that owns the process, from the mark in its environment; none: that daemon
// has ended.
std::optional<int> living_owner(const runner::MarkedProcess& marked) {
  if (marked.starter && runner::is_other_live_daemon(*marked.starter)) return marked.starter->pid;
  return store::find_living_claimant(marked.mark);  // another daemon may have adopted it
}

// The same from the record, or from the mark where the record has no owner.
std::optional<int> living_owner(const store::ProcessRow& row) {
  if (const runner::DaemonInstance owner{row.owner, row.owner_start_time}; owner.pid != 0)
    return runner::is_other_live_daemon(owner) ? std::optional(owner.pid) : std::nullopt;
  // The pid may have been reused by another process, which then has no mark.
  const auto marked = runner::read_process_mark(row.pid);
  return marked ? living_owner(*marked) : std::nullopt;
}

std::optional<std::uint16_t> recorded_port(const store::ProcessRow& row) {
  return row.port == 0 ? std::nullopt : std::optional(row.port);
}

}  // namespace

asio::awaitable<void> LeftoverRecovery::run() {
  const std::vector<store::ProcessRow> rows = parts_.recorder.leftover_processes();
  std::size_t pending = rows.size();
  for (const store::ProcessRow& row : rows)
    parts_.tasks.spawn(adopt_or_end(row),
                       [this, &pending](const Result<void>&) { --pending, parts_.loop.wake_waiters(); });
  while (pending > 0 && !parts_.loop.is_closed()) co_await parts_.loop.wait_for_change();
  end_strays();
}

asio::awaitable<Result<void>> LeftoverRecovery::adopt_or_end(store::ProcessRow row) {
  const auto index = config::find_id(parts_.config.ids().consumers, row.consumer);
  const ConsumerId id{index.value_or(0)};
  const config::ConsumerSnapshot configured = index ? parts_.config.consumer(id) : nullptr;
  const config::ConsumerConfig* consumer_config =
      configured && configured->process ? configured.get() : nullptr;
  const runner::RecordedProcess known{
      .pid = row.pid, .start_time = row.start_time, .port = recorded_port(row)};
  const auto device = consumer_config != nullptr
                          ? recorded_device(row, parts_.loop.world().registry[id].spec, parts_.devices)
                          : std::nullopt;
  std::string why = adoption_obstacle(row, consumer_config, device);
  Result<void> ended{};
  bool is_alive = row.boot == runner::boot_id();
  if (is_alive && skip_if_owned(row)) co_return Result<void>{};
  if (is_alive && why.empty()) {
    const Result<void> adopted = co_await parts_.applications[id].adopt(known);
    if (adopted) {
      parts_.loop.place_consumer(id, *device);
      parts_.recorder.record_adopted(row);
      for (const std::string& ai_model : row.warm) {
        const ResidentId resident =
            parts_.targets.find_or_add_resident(id, ai_model, consumer_config->footprint);
        parts_.loop.dispatch(ResidentFound{resident, Presence::warm});
      }
      co_return Result<void>{};
    }
    is_alive = adopted.error().code != ErrorCode::not_found;
    why = adopted.error().detail;
    if (adopted.error().code == ErrorCode::eviction_failed) ended = std::unexpected(adopted.error());
  } else if (is_alive) {
    const config::ProcessConfig settings =
        consumer_config != nullptr ? *consumer_config->process : config::ProcessConfig{};
    auto process = runner::Process::adopt(parts_.io.get_executor(), settings, known, {});
    is_alive = process.has_value();
    const Duration limit = consumer_config != nullptr ? consumer_config->stop_limit : kUnconfiguredStopLimit;
    if (is_alive) ended = co_await (*process)->stop(limit);
  }
  parts_.recorder.record_ended(row.consumer);
  if (is_alive)
    parts_.loop.dispatch(
        StrayEnded{.consumer = row.consumer, .pid = row.pid, .reason = why, .result = ended});
  co_return Result<void>{};
}

bool LeftoverRecovery::skip_if_owned(const store::ProcessRow& row) {
  const auto owner = living_owner(row);
  if (!owner) return false;
  parts_.recorder.record_ended(row.consumer);  // another daemon owns it: this one drops the record
  parts_.loop.dispatch(StrayLeftAlone{.consumer = row.consumer, .pid = row.pid, .owner_pid = *owner});
  return true;
}

void LeftoverRecovery::end_strays() {
  const std::string mark = parts_.recorder.process_mark();
  for (const runner::MarkedProcess& stray : runner::find_marked_processes(mark)) {
    if (is_adopted(stray) || report_living_owner(stray)) continue;
    if (runner::kill_marked_process(stray.pid, mark)) report_ended(stray);
  }
  end_stray_cgroups(mark);
}

// Processes that cleared their environment have no mark, but could not leave the cgroup of their run.
void LeftoverRecovery::end_stray_cgroups(const std::string& mark) {
  for (const runner::RunCgroup& cgroup : runner::RunCgroup::find_all()) {
    const auto origin = runner::parse_run_id(cgroup.run_id());
    if (!origin || origin->daemon == runner::current_daemon_instance() || is_adopted(cgroup.run_id()))
      continue;
    const bool is_own = origin->mark_hash == runner::hash_of_mark(mark) || origin->mark_hash == kNoMarkHash;
    if (!is_own || runner::is_other_live_daemon(origin->daemon)) continue;
    for (const int pid : cgroup.pids()) {
      const runner::MarkedProcess stray =
          runner::read_process_mark(pid).value_or(runner::MarkedProcess{.pid = pid, .mark = mark});
      if (report_living_owner(stray)) break;
      if (!cgroup.kill()) ::kill(pid, SIGKILL);
      report_ended(stray);
    }
    cgroup.remove();
  }
}

// Whether the process belongs to a run that was adopted.
bool LeftoverRecovery::is_adopted(const runner::MarkedProcess& stray) const {
  const auto index = config::find_id(parts_.config.ids().consumers, stray.consumer);
  if (!index || !parts_.config.consumer(ConsumerId{*index})->process) return false;
  const runner::RunIdentity run = parts_.applications[ConsumerId{*index}].identity();
  const std::string stray_run = gpu::read_run_id(stray.pid);
  return run.pid && (run.run.empty() || stray_run.empty() || run.run == stray_run);
}

bool LeftoverRecovery::is_adopted(const std::string& run_id) const {
  return std::ranges::any_of(parts_.applications.runs(),
                             [&](const runner::RunIdentity& run) { return run.run == run_id; });
}

bool LeftoverRecovery::report_living_owner(const runner::MarkedProcess& stray) {
  const auto owner = living_owner(stray);
  if (owner)
    parts_.loop.dispatch(StrayLeftAlone{.consumer = stray.consumer, .pid = stray.pid, .owner_pid = *owner});
  return owner.has_value();
}

void LeftoverRecovery::report_ended(const runner::MarkedProcess& stray) {
  parts_.loop.dispatch(StrayEnded{.consumer = stray.consumer.empty() ? "a consumer" : stray.consumer,
                                  .pid = stray.pid,
                                  .reason = "the process that it belonged to is gone"});
}

}  // namespace mgpu::engine
