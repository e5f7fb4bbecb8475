// What an earlier life of the daemon left running, after a kill -9 or a crash: adopted, or ended, before
// anybody asks for anything. Nothing may be loaded beside a copy that nobody knows of.
//
// Nothing is touched that belongs to another daemon which lives: the files of the store may have been
// deleted, copied or moved under it, so its life itself is looked for.
//
// A process is known by pid, start time and boot, as they were recorded; whoever belongs to it besides (a
// child whose parent died, a process that was never recorded because the daemon died that moment) by a
// variable that all of them inherit. Adopted is who was settled, runs under the settings of today, and is
// healthy.
#include <algorithm>
#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/engine_impl.h"
#include "engine/fingerprint.h"
#include "runner/process.h"
#include "runner/process_recovery.h"

#include "store/claim.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr Duration kUnconfiguredStopLimit{10'000'000};  // of what is in no configuration any more

// The device that it runs on, if its consumer may be there today.
std::optional<DeviceId> recorded_device(const store::ProcessRow& row, const Consumer& spec,
                                        const std::vector<gpu::DeviceInfo>& devices) {
  if (row.device.empty()) return spec.device;
  const std::vector<DeviceId> may_be_on = spec.devices.empty() ? std::vector{spec.device} : spec.devices;
  const auto found =
      std::ranges::find(may_be_on, row.device, [&](DeviceId id) { return devices[id.value].uuid; });
  return found == may_be_on.end() ? std::nullopt : std::optional(*found);
}

// Why a process that is there can't be kept; empty: nothing speaks against it.
std::string adoption_obstacle(const store::ProcessRow& row, const config::ConsumerConfig* consumer_config,
                              std::optional<DeviceId> device) {
  if (consumer_config == nullptr) return "it is in the configuration no more";
  if (row.settings != process_fingerprint(*consumer_config)) return "its configuration changed";
  if (!device) return "it is on a device that it may not be on any more";
  if (!row.settled) return "it was being loaded, evicted or parked";
  return "";
}

// The daemon that has the process, by what it says itself; none: that one is dead.
std::optional<int> living_owner(const runner::MarkedProcess& marked) {
  if (marked.starter && runner::is_other_live_daemon(*marked.starter)) return marked.starter->pid;
  return store::find_living_claimant(marked.mark);  // who may have adopted it
}

// Likewise, by the record where that says who.
std::optional<int> living_owner(const store::ProcessRow& row) {
  if (const runner::DaemonInstance owner{row.owner, row.owner_start_time}; owner.pid != 0)
    return runner::is_other_live_daemon(owner) ? std::optional(owner.pid) : std::nullopt;
  // Looked at before it is known that the number is still its own: who has no mark is looked at further.
  const auto marked = runner::read_process_mark(row.pid);
  return marked ? living_owner(*marked) : std::nullopt;
}

std::optional<std::uint16_t> recorded_port(const store::ProcessRow& row) {
  return row.port == 0 ? std::nullopt : std::optional(row.port);
}

}  // namespace

asio::awaitable<void> Engine::Impl::recover() {
  const auto self = shared_from_this();
  const std::vector<store::ProcessRow> rows = recorder.leftover_processes();
  std::size_t pending = rows.size();
  for (const store::ProcessRow& row : rows)
    spawn(adopt_or_end(row), [this, &pending](const Result<void>&) { --pending, changed.cancel(); });
  while (pending > 0 && !closed) co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  end_strays();
}

asio::awaitable<Result<void>> Engine::Impl::adopt_or_end(store::ProcessRow row) {
  const auto configured = std::ranges::find(consumers, row.consumer, &config::ConsumerConfig::name);
  const config::ConsumerConfig* consumer_config =
      configured != consumers.end() && configured->process ? &*configured : nullptr;
  const runner::RecordedProcess known{
      .pid = row.pid, .start_time = row.start_time, .port = recorded_port(row)};
  const ConsumerId id{static_cast<std::uint64_t>(configured - consumers.begin())};
  const auto device =
      consumer_config != nullptr ? recorded_device(row, world.registry[id].spec, devices) : std::nullopt;
  std::string why = adoption_obstacle(row, consumer_config, device);
  Result<void> ended{};
  bool is_alive = row.boot == runner::boot_id();
  if (is_alive && skip_if_owned(row)) co_return Result<void>{};
  if (is_alive && why.empty()) {
    const Result<void> adopted = co_await application(id).adopt(known);
    if (adopted) {
      // Nobody has asked for anything yet, so that placing it is still a matter of setting up the world.
      world.registry[id].spec.device = *device;
      recorder.record_adopted(row);
      for (const std::string& ai_model : row.warm)
        dispatch_event(FoundWarm{find_or_add_resident(id, ai_model, consumer_config->footprint)});
      co_return Result<void>{};
    }
    is_alive = adopted.error().code != ErrorCode::not_found;
    why = adopted.error().detail;
    if (adopted.error().code == ErrorCode::eviction_failed) ended = std::unexpected(adopted.error());
  } else if (is_alive) {
    const config::ProcessConfig settings =
        consumer_config != nullptr ? *consumer_config->process : config::ProcessConfig{};
    auto process = runner::Process::adopt(io.get_executor(), settings, known, {});
    is_alive = process.has_value();
    const Duration limit = consumer_config != nullptr ? consumer_config->stop_limit : kUnconfiguredStopLimit;
    if (is_alive) ended = co_await (*process)->stop(limit);
  }
  recorder.record_ended(row.consumer);
  if (is_alive)
    dispatch_event(StrayEnded{.consumer = row.consumer, .pid = row.pid, .reason = why, .result = ended});
  co_return Result<void>{};
}

bool Engine::Impl::skip_if_owned(const store::ProcessRow& row) {
  const auto owner = living_owner(row);
  if (!owner) return false;
  recorder.record_ended(row.consumer);  // it is not ours to remember
  dispatch_event(StrayLeftAlone{.consumer = row.consumer, .pid = row.pid, .owner_pid = *owner});
  return true;
}

void Engine::Impl::end_strays() {
  for (const runner::MarkedProcess& stray : runner::find_marked_processes(recorder.process_mark())) {
    const auto& [pid, consumer] = std::pair{stray.pid, stray.consumer};
    const auto configured = std::ranges::find(consumers, consumer, &config::ConsumerConfig::name);
    const auto index = static_cast<std::size_t>(configured - consumers.begin());
    const bool adopted =
        configured != consumers.end() && configured->process && applications[index]->identity().pid;
    if (adopted) continue;  // its process belongs to it
    if (const auto owner = living_owner(stray)) {
      dispatch_event(StrayLeftAlone{.consumer = consumer, .pid = pid, .owner_pid = *owner});
      continue;
    }
    if (runner::kill_marked_process(pid, recorder.process_mark()))
      dispatch_event(
          StrayEnded{.consumer = consumer, .pid = pid, .reason = "the process that it belonged to is gone"});
  }
}

}  // namespace mgpu::engine
