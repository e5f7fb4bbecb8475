// Waiting and holding: from an Ask to a Lease that gives itself back. Whoever stops waiting, for whatever
// reason and at whatever moment, leaves through the same door (Lease::State::leave), so that nothing is lost
// when a cancellation crosses a grant.
#include <string>
#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/sanitize.h"
#include "engine/engine_impl.h"

namespace mgpu::engine {
namespace asio = boost::asio;

namespace {

// A long one without its middle: who it comes from stands at the end.
std::string shortened_who(std::string_view who) {
  constexpr std::string_view kEllipsis = "...";
  constexpr std::size_t kTailLength = 60;
  if (who.size() <= kMaxWhoLength) return sanitize_text(who, kMaxWhoLength);
  const std::string end = sanitize_text(who.substr(who.size() - kTailLength), kTailLength);
  return sanitize_text(who, kMaxWhoLength - kTailLength - kEllipsis.size()).append(kEllipsis).append(end);
}

}  // namespace

void Lease::State::cancel_or_release(Error why) {
  Engine::Impl* const owner = std::exchange(engine, nullptr);
  on_ended = nullptr;
  if (owner == nullptr) return;
  owner->lease_states.erase(ticket);
  if (!outcome)
    owner->dispatch_event(TicketCancelled{.ticket = ticket, .error = std::move(why)});
  else if (*outcome)
    owner->dispatch_event(LeaseReleased{ticket});
}

Lease::Lease(std::shared_ptr<State> state) : state_(std::move(state)) {}
Lease::Lease(Lease&& other) noexcept = default;
Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
Lease::~Lease() {
  if (state_) state_->cancel_or_release({ErrorCode::cancelled, "the lease was given back"});
}
TicketId Lease::ticket() const { return state_->ticket; }
DeviceId Lease::device() const { return state_->ask.device; }
Duration Lease::waited() const { return state_->granted.waited; }
Duration Lease::loading() const { return state_->granted.loading; }
const std::optional<Error>& Lease::end_error() const { return state_->end_error; }

void Lease::on_ended(std::function<void(const Error&)> listener) {
  state_->on_ended = std::move(listener);
  if (state_->end_error) notify_ended(state_);
}

// Posted: the listener hears of it once, and only if it is still wanted then.
void Lease::notify_ended(const std::shared_ptr<State>& state) {
  asio::post(state->decided.get_executor(), [state] {
    if (const auto listener = std::exchange(state->on_ended, nullptr)) listener(*state->end_error);
  });
}

// Leaves when its coroutine ends without having got its lease: refused, cancelled, thrown out, or destroyed.
struct Engine::Impl::LeaseStateGuard {
  std::shared_ptr<Lease::State> lease_state{};
  explicit LeaseStateGuard(std::shared_ptr<Lease::State> state) : lease_state(std::move(state)) {}
  LeaseStateGuard(const LeaseStateGuard&) = delete;
  LeaseStateGuard& operator=(const LeaseStateGuard&) = delete;
  ~LeaseStateGuard() {
    if (lease_state) lease_state->cancel_or_release({ErrorCode::cancelled, "the caller went away"});
  }
};

std::string Engine::Impl::slurm_job_of(int pid) const {
  std::string job = gpu::read_cgroup(pid).slurm_job;
  return job == own_cgroup.slurm_job ? std::string{} : job;
}

asio::awaitable<Result<Lease>> Engine::Impl::acquire(TicketRequest ask, Holder holder,
                                                     std::function<void(TicketId)> on_ticket) {
  const auto self = shared_from_this();
  if (closed) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  holder.who = shortened_who(holder.who);
  const TicketId ticket{++last_ticket};
  LeaseStateGuard guard(
      std::make_shared<Lease::State>(this, ticket, ask, std::move(holder), io.get_executor()));
  if (const auto pid = guard.lease_state->holder.pid) guard.lease_state->slurm_job = slurm_job_of(*pid);
  lease_states.emplace(ticket, guard.lease_state);
  if (on_ticket) on_ticket(ticket);
  dispatch_event(TicketArrived{.ticket = ticket, .request = ask});
  record_chosen_device(ticket);

  const Result<Grant> granted = co_await wait_for_decision(guard.lease_state);
  if (!granted) co_return std::unexpected(granted.error());
  co_return Lease(std::exchange(guard.lease_state, nullptr));
}

asio::awaitable<Result<Grant>> Engine::Impl::wait_for_decision(LeaseStatePtr lease_state) {
  if (!lease_state->outcome) co_await lease_state->decided.async_wait(asio::as_tuple(asio::use_awaitable));
  const bool is_cancelled =
      (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
  const auto& outcome = lease_state->outcome;
  if (outcome && !*outcome) co_return std::unexpected(outcome->error());
  if (is_cancelled || !outcome) co_return fail(ErrorCode::cancelled, "the caller went away");
  if (lease_state->end_error) co_return std::unexpected(*lease_state->end_error);
  co_return *outcome;
}

asio::awaitable<Result<void>> Engine::Impl::reacquire(LeaseStatePtr lease_state) {
  const auto self = shared_from_this();
  if (lease_state->end_error) co_return std::unexpected(*lease_state->end_error);
  if (closed || lease_state->engine == nullptr)
    co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  dispatch_event(OutOfMemorySeen{lease_state->ticket});
  const bool waits_again = std::exchange(lease_state->requeued, false);
  if (!waits_again) co_return fail(ErrorCode::out_of_memory, "no more room can be made for it");
  const Result<Grant> granted = co_await wait_for_decision(lease_state);
  if (!granted) co_return std::unexpected(granted.error());
  co_return Result<void>{};
}

// Comes before any later decision on the same ticket, in the same step or another.
void Engine::Impl::on_requeued(const Requeued& requeued) {
  const auto found = lease_states.find(requeued.ticket);
  if (found == lease_states.end()) return;
  found->second->outcome.reset();
  found->second->requeued = true;
}

void Engine::Impl::record_chosen_device(TicketId ticket) {
  const auto lease_state = lease_states.find(ticket);
  const auto admitted = world.tickets.find(ticket);
  if (lease_state != lease_states.end() && admitted != world.tickets.end())
    lease_state->second->ask.device = admitted->second.request.device;
}

void Engine::Impl::on_grant(const Grant& grant) {
  record_chosen_device(grant.ticket);
  if (const auto found = lease_states.find(grant.ticket); found != lease_states.end()) {
    found->second->granted = grant;
    found->second->set_outcome(grant);
  }
}

void Engine::Impl::on_refuse(const Refuse& refusal) {
  const auto found = lease_states.find(refusal.ticket);
  if (found == lease_states.end()) return;
  const LeaseStatePtr lease_state = found->second;
  lease_states.erase(found);
  Error why = refusal.error;
  why.retry_after = refusal.retry_after;
  lease_state->set_outcome(std::unexpected(std::move(why)));
}

void Engine::Impl::on_end_lease(const EndLease& end) {
  const auto found = lease_states.find(end.ticket);
  if (found == lease_states.end()) return;
  const LeaseStatePtr lease_state = found->second;
  lease_states.erase(found);
  lease_state->engine = nullptr;  // it is over: nothing is left to give back
  lease_state->end_error = end.error;
  Lease::notify_ended(lease_state);
}

}  // namespace mgpu::engine
