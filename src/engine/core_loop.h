// The loop around the core: stamps each event, steps the core with it and appends it to the journal; then
// appends and executes each effect that the step returned. Owns the world, which all other parts only read.
//
// Thread rule: the strand.
#pragma once

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "domain/effect.h"
#include "domain/event.h"
#include "engine/clock.h"
#include "engine/journal.h"
#include "sched/world.h"

namespace mgpu::engine {

class CoreLoop {
 public:
  struct Hooks {
    std::function<void(const Effect&)> execute{};  // may dispatch events: they are stepped after this one
    std::function<void()> on_settled{};            // after the last event of a batch
  };
  // `clock` and `journal` must outlive it.
  CoreLoop(boost::asio::io_context& io, const Clock& clock, World world, Journal& journal, Hooks hooks);
  CoreLoop(const CoreLoop&) = delete;
  CoreLoop& operator=(const CoreLoop&) = delete;

  // Returns once the core has stepped the event; called from within a step or an effect, it queues the event.
  // After close() events are dropped.
  void dispatch(EventPayload what);

  const World& world() const { return world_; }
  Instant now() const { return std::max(clock_.now(), world_.now); }  // of an event that were dispatched now
  const std::deque<EventPayload>& pending_events() const { return pending_; }  // dispatched, not stepped yet

  // Set the costs that earlier starts of the daemon learned, and the device of a process that one of them
  // left. REQUIRES: no event was dispatched yet; both are part of the setup of the world.
  void restore_learned(ResidentId resident, const LearnedCosts& costs);
  void place_consumer(ConsumerId consumer, DeviceId device);

  // Returns after the next batch of events, after wake_waiters() or close(), or at `deadline`. May return
  // spuriously: the caller checks its condition again. Cancelling the awaiting operation ends the wait.
  boost::asio::awaitable<void> wait_for_change(Instant deadline = kNever);
  void wake_waiters() { changed_->cancel(); }

  void close();
  bool is_closed() const { return closed_; }

 private:
  void step_core(EventPayload what);
  void arm_wake_up();

  boost::asio::io_context& io_;
  const Clock& clock_;
  World world_;
  Journal& journal_;
  const Hooks hooks_;
  std::deque<EventPayload> pending_{};
  bool dispatching_ = false;
  bool closed_ = false;
  boost::asio::steady_timer wake_up_;  // expires when the core needs a Tick
  Instant last_tick_{};
  Duration tick_backoff_{};  // minimum time from one Tick to the next
  // Never fires: cancelled to wake the waiting coroutines. Shared with the handlers of their deadlines.
  std::shared_ptr<boost::asio::steady_timer> changed_;
  const std::shared_ptr<const bool> alive_ = std::make_shared<const bool>(true);  // for wake_up_'s handler
};

}  // namespace mgpu::engine
