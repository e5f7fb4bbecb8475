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
#include "engine/impl.h"

namespace mgpu::engine {
namespace asio = boost::asio;

namespace {

// A long one without its middle: who it comes from stands at the end.
std::string shortened(std::string_view who) {
  constexpr std::string_view kLeftOut = "...";
  constexpr std::size_t kEnd = 60;
  if (who.size() <= kLongestWho) return sanitize_text(who, kLongestWho);
  const std::string end = sanitize_text(who.substr(who.size() - kEnd), kEnd);
  return sanitize_text(who, kLongestWho - kEnd - kLeftOut.size()).append(kLeftOut).append(end);
}

}  // namespace

void Lease::State::leave(Error why) {
  Engine::Impl* const owner = std::exchange(engine, nullptr);
  on_ended = nullptr;
  if (owner == nullptr) return;
  owner->standings.erase(ticket);
  if (!outcome)
    owner->feed(TicketCancelled{.ticket = ticket, .error = std::move(why)});
  else if (*outcome)
    owner->feed(LeaseReleased{ticket});
}

Lease::Lease(std::shared_ptr<State> state) : state_(std::move(state)) {}
Lease::Lease(Lease&& other) noexcept = default;
Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(state_, other.state_);
  return *this;
}
Lease::~Lease() {
  if (state_) state_->leave({ErrorCode::cancelled, "the lease was given back"});
}
TicketId Lease::ticket() const { return state_->ticket; }
DeviceId Lease::device() const { return state_->ask.device; }
Duration Lease::waited() const { return state_->granted.waited; }
Duration Lease::loading() const { return state_->granted.loading; }
const std::optional<Error>& Lease::ended() const { return state_->ended; }

void Lease::on_ended(std::function<void(const Error&)> listener) {
  state_->on_ended = std::move(listener);
  if (state_->ended) tell_ended(state_);
}

// Posted: the listener hears of it once, and only if it is still wanted then.
void Lease::tell_ended(const std::shared_ptr<State>& state) {
  asio::post(state->decided.get_executor(), [state] {
    if (const auto listener = std::exchange(state->on_ended, nullptr)) listener(*state->ended);
  });
}

// Leaves when its coroutine ends without having got its lease: refused, cancelled, thrown out, or destroyed.
struct Engine::Impl::Place {
  std::shared_ptr<Lease::State> standing{};
  explicit Place(std::shared_ptr<Lease::State> mine) : standing(std::move(mine)) {}
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  ~Place() {
    if (standing) standing->leave({ErrorCode::cancelled, "the caller went away"});
  }
};

std::string Engine::Impl::job_of(int pid) const {
  std::string job = gpu::read_cgroup(pid).slurm_job;
  return job == own_cgroup.slurm_job ? std::string{} : job;
}

asio::awaitable<Result<Lease>> Engine::Impl::acquire(TicketRequest ask, Holder holder,
                                                     std::function<void(TicketId)> on_ticket) {
  const auto self = shared_from_this();
  if (closed) co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  holder.who = shortened(holder.who);
  const TicketId ticket{++last_ticket};
  Place place(std::make_shared<Lease::State>(this, ticket, ask, std::move(holder), io.get_executor()));
  if (const auto pid = place.standing->holder.pid) place.standing->slurm_job = job_of(*pid);
  standings.emplace(ticket, place.standing);
  if (on_ticket) on_ticket(ticket);
  feed(TicketArrived{.ticket = ticket, .request = ask});
  note_device(ticket);

  const Result<Grant> granted = co_await decision_on(place.standing);
  if (!granted) co_return std::unexpected(granted.error());
  co_return Lease(std::exchange(place.standing, nullptr));
}

asio::awaitable<Result<Grant>> Engine::Impl::decision_on(Standing standing) {
  if (!standing->outcome) co_await standing->decided.async_wait(asio::as_tuple(asio::use_awaitable));
  const bool gone =
      (co_await asio::this_coro::cancellation_state).cancelled() != asio::cancellation_type::none;
  const auto& outcome = standing->outcome;
  if (outcome && !*outcome) co_return std::unexpected(outcome->error());
  if (gone || !outcome) co_return fail(ErrorCode::cancelled, "the caller went away");
  if (standing->ended) co_return std::unexpected(*standing->ended);
  co_return *outcome;
}

asio::awaitable<Result<void>> Engine::Impl::hold_again(Standing standing) {
  const auto self = shared_from_this();
  if (standing->ended) co_return std::unexpected(*standing->ended);
  if (closed || standing->engine == nullptr)
    co_return fail(ErrorCode::shutting_down, "the daemon is shutting down");
  feed(OutOfMemorySeen{standing->ticket});
  const bool waits_again = std::exchange(standing->requeued, false);
  if (!waits_again) co_return fail(ErrorCode::out_of_memory, "no more room can be made for it");
  const Result<Grant> granted = co_await decision_on(standing);
  if (!granted) co_return std::unexpected(granted.error());
  co_return Result<void>{};
}

// Comes before any later decision on the same ticket, in the same step or another.
void Engine::Impl::on_requeued(const Requeued& requeued) {
  const auto found = standings.find(requeued.ticket);
  if (found == standings.end()) return;
  found->second->outcome.reset();
  found->second->requeued = true;
}

void Engine::Impl::note_device(TicketId ticket) {
  const auto standing = standings.find(ticket);
  const auto admitted = world.tickets.find(ticket);
  if (standing != standings.end() && admitted != world.tickets.end())
    standing->second->ask.device = admitted->second.request.device;
}

void Engine::Impl::on_grant(const Grant& grant) {
  note_device(grant.ticket);
  if (const auto found = standings.find(grant.ticket); found != standings.end()) {
    found->second->granted = grant;
    found->second->decide(grant);
  }
}

void Engine::Impl::on_refuse(const Refuse& refusal) {
  const auto found = standings.find(refusal.ticket);
  if (found == standings.end()) return;
  const Standing standing = found->second;
  standings.erase(found);
  Error why = refusal.error;
  why.retry_after = refusal.retry_after;
  standing->decide(std::unexpected(std::move(why)));
}

void Engine::Impl::on_end_lease(const EndLease& end) {
  const auto found = standings.find(end.ticket);
  if (found == standings.end()) return;
  const Standing standing = found->second;
  standings.erase(found);
  standing->engine = nullptr;  // it is over: nothing is left to give back
  standing->ended = end.error;
  Lease::tell_ended(standing);
}

}  // namespace mgpu::engine
