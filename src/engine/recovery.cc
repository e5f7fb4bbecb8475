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

#include "engine/fingerprint.h"
#include "engine/impl.h"
#include "runner/process.h"
#include "runner/process_recovery.h"

#include "store/claim.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr Duration kStopLimit{10'000'000};  // of what is in no configuration any more

// The device that it runs on, if its consumer may be there today.
std::optional<DeviceId> home_of(const store::ProcessRow& row, const Consumer& spec,
                                const std::vector<gpu::DeviceInfo>& devices) {
  if (row.device.empty()) return spec.device;
  const std::vector<DeviceId> may_be_on = spec.devices.empty() ? std::vector{spec.device} : spec.devices;
  const auto home =
      std::ranges::find(may_be_on, row.device, [&](DeviceId id) { return devices[id.value].uuid; });
  return home == may_be_on.end() ? std::nullopt : std::optional(*home);
}

// Why a process that is there can't be kept; empty: nothing speaks against it.
std::string objection(const store::ProcessRow& row, const config::ConsumerConfig* today,
                      std::optional<DeviceId> home) {
  if (today == nullptr) return "it is in the configuration no more";
  if (row.settings != process_fingerprint(*today)) return "its configuration changed";
  if (!home) return "it is on a device that it may not be on any more";
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

std::optional<std::uint16_t> port_of(const store::ProcessRow& row) {
  return row.port == 0 ? std::nullopt : std::optional(row.port);
}

}  // namespace

asio::awaitable<void> Engine::Impl::recover() {
  const auto self = shared_from_this();
  const std::vector<store::ProcessRow> rows = records.left_running();
  std::size_t open = rows.size();
  for (const store::ProcessRow& row : rows)
    go(take_over(row), [this, &open](const Result<void>&) { --open, changed.cancel(); });
  while (open > 0 && !closed) co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  end_strays();
}

asio::awaitable<Result<void>> Engine::Impl::take_over(store::ProcessRow row) {
  const auto place = std::ranges::find(consumers, row.consumer, &config::ConsumerConfig::name);
  const config::ConsumerConfig* today = place != consumers.end() && place->process ? &*place : nullptr;
  const runner::RecordedProcess known{.pid = row.pid, .start_time = row.start_time, .port = port_of(row)};
  const ConsumerId id{static_cast<std::uint64_t>(place - consumers.begin())};
  const auto home = today != nullptr ? home_of(row, world.registry[id].spec, devices) : std::nullopt;
  std::string why = objection(row, today, home);
  Result<void> ended{};
  bool there = row.boot == runner::boot_id();
  if (there && leave_to_its_owner(row)) co_return Result<void>{};
  if (there && why.empty()) {
    const Result<void> adopted = co_await application(id).adopt(known);
    if (adopted) {
      // Nobody has asked for anything yet, so that placing it is still a matter of setting up the world.
      world.registry[id].spec.device = *home;
      records.adopted(row);
      for (const std::string& ai_model : row.warm)
        feed(FoundWarm{resident_named(id, ai_model, today->footprint)});
      co_return Result<void>{};
    }
    there = adopted.error().code != ErrorCode::not_found;
    why = adopted.error().detail;
    if (adopted.error().code == ErrorCode::eviction_failed) ended = std::unexpected(adopted.error());
  } else if (there) {
    const config::ProcessConfig settings = today != nullptr ? *today->process : config::ProcessConfig{};
    auto process = runner::Process::adopt(io.get_executor(), settings, known, {});
    there = process.has_value();
    const Duration limit = today != nullptr ? today->stop_limit : kStopLimit;
    if (there) ended = co_await (*process)->stop(limit);
  }
  records.ended(row.consumer);
  if (there) feed(StrayEnded{.consumer = row.consumer, .pid = row.pid, .reason = why, .result = ended});
  co_return Result<void>{};
}

bool Engine::Impl::leave_to_its_owner(const store::ProcessRow& row) {
  const auto owner = living_owner(row);
  if (!owner) return false;
  records.ended(row.consumer);  // it is not ours to remember
  feed(StrayLeftAlone{.consumer = row.consumer, .pid = row.pid, .owner_pid = *owner});
  return true;
}

void Engine::Impl::end_strays() {
  for (const runner::MarkedProcess& stray : runner::find_marked_processes(records.mark())) {
    const auto& [pid, consumer] = std::pair{stray.pid, stray.consumer};
    const auto place = std::ranges::find(consumers, consumer, &config::ConsumerConfig::name);
    const auto index = static_cast<std::size_t>(place - consumers.begin());
    const bool adopted = place != consumers.end() && place->process && applications[index]->identity().pid;
    if (adopted) continue;  // its process belongs to it
    if (const auto owner = living_owner(stray)) {
      feed(StrayLeftAlone{.consumer = consumer, .pid = pid, .owner_pid = *owner});
      continue;
    }
    if (runner::kill_marked_process(pid, records.mark()))
      feed(StrayEnded{.consumer = consumer, .pid = pid, .reason = "the process that it belonged to is gone"});
  }
}

}  // namespace mgpu::engine
