#include "engine/client_unload.h"

#include <string>

#include "sched/step.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

constexpr Duration kUnload{0};  // as a KeepAliveSet

enum class Progress : std::uint8_t { unloaded, unloading, in_use, kept, failed };

Progress progress_of(const World& world, ResidentId id) {
  const Resident& resident = world.registry[id];
  if (is_already_evicted(resident, false)) return Progress::unloaded;
  if (resident.state == Residency::unloading) return Progress::unloading;
  if (resident.eviction_retry_at > world.now) return Progress::failed;
  // Loaded again meanwhile, or a later client wants to keep it.
  return resident.keep_alive == kUnload ? Progress::in_use : Progress::kept;
}

Result<void> check_may_unload(const Consumer& spec) {
  if (!spec.can_unload && !spec.can_stop)
    return fail(ErrorCode::not_supported,
                spec.name + " can't be unloaded: its service can't, and mgpu does not run its process");
  if (spec.pinned) return fail(ErrorCode::busy, spec.name + " is pinned: it stays loaded");
  return {};
}

}  // namespace

asio::awaitable<Result<bool>> unload_for_client(CoreLoop& loop, const Clock& clock, ResidentId id,
                                                UnloadWait wait, Instant deadline) {
  const World& world = loop.world();
  const bool was_loaded = !is_already_evicted(world.registry[id], false);
  if (was_loaded) {
    const auto may = check_may_unload(world.registry[world.registry[id].consumer].spec);
    if (!may) co_return std::unexpected(may.error());
  }
  loop.dispatch(KeepAliveSet{.resident = id, .keep_alive = kUnload});
  if (!was_loaded) co_return false;
  while (true) {
    const Progress progress = progress_of(world, id);
    if (progress == Progress::unloaded || progress == Progress::kept) co_return true;
    const std::string& name = world.registry[world.registry[id].consumer].spec.name;
    if (progress == Progress::failed)
      co_return fail(ErrorCode::eviction_failed, "the memory of " + name + " was not seen to come free");
    if (loop.is_closed() || world.draining)
      co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
    const bool in_use = progress == Progress::in_use;
    if (in_use && wait == UnloadWait::unless_in_use) co_return true;
    if (in_use && clock.now() >= deadline)
      co_return fail(ErrorCode::busy, name + " is still in use; it is unloaded after that");
    const Instant until = in_use ? deadline : kNever;
    co_await loop.wait_for_change(until);
  }
}

}  // namespace mgpu::engine
