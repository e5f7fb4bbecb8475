#include "engine/core_loop.h"

#include <algorithm>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "registry/cost_learning.h"
#include "sched/step.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

// A Tick that is due but changes nothing must not keep the strand busy: the delay to the next one doubles.
constexpr Duration kMinTickBackoff{1'000};
constexpr Duration kMaxTickBackoff{1'000'000};

}  // namespace

CoreLoop::CoreLoop(asio::io_context& io, const Clock& clock, World world, Journal& journal, Hooks hooks)
    : io_(io),
      clock_(clock),
      world_(std::move(world)),
      journal_(journal),
      hooks_(std::move(hooks)),
      wake_up_(io),
      changed_(std::make_shared<asio::steady_timer>(io, asio::steady_timer::time_point::max())) {}

void CoreLoop::dispatch(EventPayload what) {
  if (closed_) return;
  pending_.push_back(std::move(what));
  if (dispatching_) return;
  dispatching_ = true;
  while (!pending_.empty()) {
    EventPayload next = std::move(pending_.front());
    pending_.pop_front();
    step_core(std::move(next));
  }
  dispatching_ = false;
  if (hooks_.on_settled) hooks_.on_settled();
  arm_wake_up();
  wake_waiters();
}

void CoreLoop::step_core(EventPayload what) {
  Event event{.at = now(), .payload = std::move(what)};
  Effects effects = step(world_, event);
  journal_.append(event.at, std::move(event.payload));
  for (Effect& effect : effects) {
    const JournalEntryPtr entry = journal_.append(event.at, std::move(effect));
    hooks_.execute(std::get<Effect>(entry->payload));
  }
}

void CoreLoop::arm_wake_up() {
  const Instant next = next_wakeup(world_);
  wake_up_.cancel();
  if (next == kNever) return;
  if (next > world_.now) tick_backoff_ = kMinTickBackoff;
  // Counted from the last Tick, not from now: a steady stream of events does not postpone the Tick.
  wake_up_.expires_at(clock_.steady_time(std::max(next, last_tick_ + tick_backoff_)));
  wake_up_.async_wait([this, alive = std::weak_ptr(alive_)](const boost::system::error_code& cancelled) {
    if (cancelled || alive.expired()) return;
    last_tick_ = clock_.now();
    tick_backoff_ = std::min(2 * tick_backoff_, kMaxTickBackoff);
    dispatch(Tick{});
  });
}

void CoreLoop::restore_learned(ResidentId resident, const LearnedCosts& costs) {
  mgpu::restore_learned_costs(world_.registry, resident, costs);
}

void CoreLoop::place_consumer(ConsumerId consumer, DeviceId device) {
  world_.registry[consumer].spec.device = device;
}

asio::awaitable<void> CoreLoop::wait_for_change(Instant deadline) {
  const auto changed = changed_;
  asio::steady_timer timeout(io_);
  if (deadline != kNever) {
    timeout.expires_at(clock_.steady_time(deadline));
    timeout.async_wait([changed](const boost::system::error_code& cancelled) {
      if (!cancelled) changed->cancel();
    });
  }
  co_await changed->async_wait(asio::as_tuple(asio::use_awaitable));
}

void CoreLoop::close() {
  closed_ = true;
  wake_up_.cancel();
  wake_waiters();
}

}  // namespace mgpu::engine
