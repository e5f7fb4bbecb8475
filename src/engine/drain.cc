// The end: no new work, running work ends or its limit passes, own processes are stopped.
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "engine/impl.h"

namespace mgpu::engine {
namespace asio = boost::asio;
namespace {

bool someone_runs(const World& world) {
  for (const LineState& line : world.lines)
    if (line.statistics.in_flight > 0) return true;
  return false;
}

}  // namespace

asio::awaitable<void> Engine::Impl::drain() {
  const auto self = shared_from_this();
  feed(DrainRequested{});

  const Instant limit = clock.now() + config.limits.drain_limit;
  asio::steady_timer tired(io, clock.steady(limit));
  tired.async_wait([this, self](const boost::system::error_code&) { changed.cancel(); });
  while (someone_runs(world) && clock.now() < limit)
    co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  tired.cancel();

  std::vector<TicketId> late;
  for (const auto& [id, ticket] : world.tickets) late.push_back(id);
  for (const TicketId id : late)
    feed(TicketCancelled{.ticket = id,
                         .error = {ErrorCode::shutting_down, "the daemon stopped before the work ended"}});

  std::size_t stopping = applications.size();
  for (const auto& application : applications)
    go(application->shut_down(), [&stopping, this](const Result<void>&) { --stopping, changed.cancel(); });
  while (stopping > 0) co_await changed.async_wait(asio::as_tuple(asio::use_awaitable));
  sampling.stop();
}

}  // namespace mgpu::engine
