#include "engine/ticket_table.h"

#include <string_view>
#include <utility>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <unistd.h>

#include "base/sanitize.h"
#include "engine/lease_state.h"
#include "gpu/run_mark.h"

namespace mgpu::engine {
namespace asio = boost::asio;

namespace {

// Cuts the middle of a long description: the end contains the origin of the request.
std::string shorten_description(std::string_view who) {
  constexpr std::string_view kEllipsis = "...";
  constexpr std::size_t kTailLength = 60;
  if (who.size() <= kMaxWhoLength) return sanitize_text(who, kMaxWhoLength);
  const std::string end = sanitize_text(who.substr(who.size() - kTailLength), kTailLength);
  return sanitize_text(who, kMaxWhoLength - kTailLength - kEllipsis.size()).append(kEllipsis).append(end);
}

}  // namespace

void Lease::State::cancel_or_release(Error why) {
  TicketTable* const owner = std::exchange(table, nullptr);
  on_ended = nullptr;
  if (owner == nullptr) return;
  if (outcome && *outcome) return owner->release(ticket);
  owner->states_.erase(ticket);
  if (!outcome) owner->hooks_.dispatch(TicketCancelled{.ticket = ticket, .error = std::move(why)});
}

// Until the core has ended the lease, the memory of its processes is attributed to it.
void TicketTable::release(TicketId ticket) {
  const StatePtr state = find(ticket);
  if (state && state->holder.pid && hooks_.release_when_gone && hooks_.release_when_gone(ticket, state->run))
    return;
  finish_release(ticket);
}

void TicketTable::finish_release(TicketId ticket) {
  states_.erase(ticket);
  hooks_.dispatch(LeaseReleased{ticket});
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
DeviceId Lease::device() const { return state_->request.device; }
Duration Lease::waited() const { return state_->granted.waited; }
Duration Lease::loading() const { return state_->granted.loading; }
const std::optional<Error>& Lease::end_error() const { return state_->end_error; }

void Lease::on_ended(std::function<void(const Error&)> listener) {
  state_->on_ended = std::move(listener);
  if (state_->end_error) notify_ended(state_);
}

// Posted: calls the listener once, and only if it is still set by then.
void Lease::notify_ended(const std::shared_ptr<State>& state) {
  asio::post(state->decided.get_executor(), [state] {
    if (const auto listener = std::exchange(state->on_ended, nullptr)) listener(*state->end_error);
  });
}

// Releases the ticket when its coroutine ends without a lease: refused, cancelled, by an exception, or
// destroyed.
struct TicketTable::StateGuard {
  StatePtr state{};
  explicit StateGuard(StatePtr guarded) : state(std::move(guarded)) {}
  StateGuard(const StateGuard&) = delete;
  StateGuard& operator=(const StateGuard&) = delete;
  ~StateGuard() {
    if (state) state->cancel_or_release({ErrorCode::cancelled, "the caller went away"});
  }
};

TicketTable::TicketTable(asio::any_io_executor strand, TicketNumbers numbers, Hooks hooks)
    : strand_(std::move(strand)),
      hooks_(std::move(hooks)),
      own_slurm_job_(gpu::read_cgroup(::getpid()).slurm_job),
      numbers_(std::move(numbers)) {}

TicketTable::~TicketTable() { close(); }

asio::awaitable<Result<Lease>> TicketTable::acquire(TicketRequest request, Holder holder,
                                                    std::function<void(TicketId)> on_ticket) {
  if (closed_) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  holder.who = shorten_description(holder.who);
  holder.principal.api_key.clear();  // API keys are never stored (user_table.h)
  const TicketId ticket = numbers_.next();
  StateGuard guard(std::make_shared<Lease::State>(this, ticket, request, std::move(holder), strand_));
  if (const auto pid = guard.state->holder.pid) {
    if (const auto process = gpu::read_process(*pid))
      guard.state->run = gpu::lease_run_id(*pid, process->start_time);
    if (std::string job = gpu::read_cgroup(*pid).slurm_job; job != own_slurm_job_)
      guard.state->slurm_job = std::move(job);
  }
  states_.emplace(ticket, guard.state);
  if (on_ticket) on_ticket(ticket);
  hooks_.dispatch(TicketArrived{.ticket = ticket, .request = request});
  record_chosen_device(ticket);

  // After this wait the table may no longer exist.
  const Result<Grant> granted = co_await wait_for_decision(guard.state);
  if (!granted) co_return std::unexpected(granted.error());
  co_return Lease(std::exchange(guard.state, nullptr));
}

asio::awaitable<Result<Grant>> TicketTable::wait_for_decision(StatePtr state) {
  if (!state->outcome) co_await state->decided.async_wait(asio::as_tuple(asio::use_awaitable));
  const bool is_cancelled =
      (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
  const auto& outcome = state->outcome;
  if (outcome && !*outcome) co_return std::unexpected(outcome->error());
  if (is_cancelled || !outcome) co_return fail(ErrorCode::cancelled, "the caller went away");
  if (state->end_error) co_return std::unexpected(*state->end_error);
  co_return *outcome;
}

asio::awaitable<Result<void>> TicketTable::reacquire(StatePtr state) {
  if (state->end_error) co_return std::unexpected(*state->end_error);
  if (state->outcome && !*state->outcome) co_return std::unexpected(state->outcome->error());
  if (state->table == nullptr) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  hooks_.dispatch(OutOfMemorySeen{state->ticket});
  const bool waits_again = std::exchange(state->requeued, false);
  if (!waits_again) co_return fail(ErrorCode::out_of_memory, "no more room can be made for it");
  const Result<Grant> granted = co_await wait_for_decision(state);
  if (!granted) co_return std::unexpected(granted.error());
  co_return Result<void>{};
}

// Arrives before any later decision on the same ticket, in the same step or a later one.
void TicketTable::on_requeued(const Requeued& requeued) {
  const StatePtr state = find(requeued.ticket);
  if (!state) return;
  state->outcome.reset();
  state->requeued = true;
}

void TicketTable::record_chosen_device(TicketId ticket) {
  const StatePtr state = find(ticket);
  if (!state) return;
  if (const auto device = hooks_.device_of(ticket)) state->request.device = *device;
}

void TicketTable::on_grant(const Grant& grant) {
  record_chosen_device(grant.ticket);
  if (const StatePtr state = find(grant.ticket)) {
    state->granted = grant;
    state->set_outcome(grant);
  }
}

void TicketTable::on_refuse(const Refuse& refusal) {
  const StatePtr state = take(refusal.ticket);
  if (!state) return;
  state->table = nullptr;  // it has ended: nothing is left to release
  Error why = refusal.error;
  why.retry_after = refusal.retry_after;
  state->set_outcome(std::unexpected(std::move(why)));
}

void TicketTable::on_end_lease(const EndLease& end) {
  const StatePtr state = take(end.ticket);
  if (!state) return;
  state->table = nullptr;  // it has ended: nothing is left to release
  state->end_error = end.error;
  Lease::notify_ended(state);
}

const Holder* TicketTable::holder(TicketId ticket) const {
  const auto found = states_.find(ticket);
  return found == states_.end() ? nullptr : &found->second->holder;
}

std::vector<TicketProcess> TicketTable::processes() const {
  std::vector<TicketProcess> processes;
  for (const auto& [ticket, state] : states_)
    if (state->holder.pid)
      processes.push_back({.ticket = ticket,
                           .request = state->request,
                           .pid = *state->holder.pid,
                           .run = state->run,
                           .slurm_job = state->slurm_job});
  return processes;
}

void TicketTable::close() {
  closed_ = true;
  for (const auto& [ticket, state] : states_) {
    state->table = nullptr;
    if (!state->outcome) state->set_outcome(fail(ErrorCode::shutting_down, "the daemon is shutting down"));
  }
  states_.clear();
}

TicketTable::StatePtr TicketTable::find(TicketId ticket) const {
  const auto found = states_.find(ticket);
  return found == states_.end() ? nullptr : found->second;
}

TicketTable::StatePtr TicketTable::take(TicketId ticket) {
  const auto found = states_.find(ticket);
  if (found == states_.end()) return nullptr;
  StatePtr state = std::move(found->second);
  states_.erase(found);
  return state;
}

}  // namespace mgpu::engine
