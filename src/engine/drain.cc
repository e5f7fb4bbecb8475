// The end: no new work, running work ends or its limit passes, own processes are stopped.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/engine_impl.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

bool has_running_work(const World& world) {
  for (const LineState& line : world.lines)
    if (line.statistics.in_flight > 0) return true;
  return false;
}

}  // namespace

asio::awaitable<void> Engine::Impl::drain() {
  const auto self = shared_from_this();
  dispatch_event(DrainRequested{});

  const Instant limit = clock.now() + config.limits.drain_limit;
  asio::steady_timer timeout(io, clock.steady_time(limit));
  timeout.async_wait([this, self](const boost::system::error_code&) { changed.cancel(); });
  while (has_running_work(world) && clock.now() < limit)
    co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  timeout.cancel();

  std::vector<TicketId> unfinished;
  for (const auto& [id, ticket] : world.tickets) unfinished.push_back(id);
  for (const TicketId id : unfinished)
    dispatch_event(TicketCancelled{
        .ticket = id, .error = {ErrorCode::shutting_down, "the daemon stopped before the work ended"}});

  std::size_t stopping = applications.size();
  for (const auto& application : applications)
    spawn(application->shut_down(), [&stopping, this](const Result<void>&) { --stopping, changed.cancel(); });
  while (stopping > 0) co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  sampler.stop();
}

}  // namespace mgpu::engine
